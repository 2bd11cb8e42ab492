import hashlib
import io
import json
import tarfile

import pytest
import webdataset

from slts.data.shard_list import ShardList
from slts.data.shards import index_shard, read_corpus_json, read_sample, write_shard
from slts.errors import UserError
from slts.files import sha256


def samples(count: int = 3) -> list[dict]:
    return [
        {"key": f"clip-{i}", "mp4": bytes([i]) * 700, "flac": b"flac", "json": {"speaker": "s1", "text": "é"}}
        for i in range(count)
    ]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-000000.tar"
    return write_shard(path, samples()).rename(path)


def test_index_finds_every_member(shard):
    data = shard.read_bytes()
    index = index_shard(shard)
    assert [entry["key"] for entry in index] == ["clip-0", "clip-1", "clip-2"]
    for i, entry in enumerate(index):
        read = {suffix: data[offset : offset + size] for suffix, (offset, size) in entry["members"].items()}
        assert read["mp4"] == bytes([i]) * 700 and read["flac"] == b"flac"
        assert json.loads(read["json"]) == {"speaker": "s1", "text": "é"}


def test_plain_webdataset_reads_it(shard):
    read = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == ["clip-0", "clip-1", "clip-2"]
    assert read[2]["mp4"] == bytes([2]) * 700


def test_equal_samples_give_equal_bytes(shard, tmp_path):
    assert sha256(write_shard(tmp_path / "val-000000.tar", samples())) == sha256(shard)


def test_every_truncation_is_noticed(shard):
    data = shard.read_bytes()
    contents = max(o + s for entry in index_shard(shard) for o, s in entry["members"].values())
    for length in [*range(0, contents, 300), contents - 1, contents]:
        shard.write_bytes(data[:length])
        with pytest.raises(UserError, match="train-000000"):
            index_shard(shard)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../clip.mp4", tarfile.REGTYPE),
        ("/etc/clip.mp4", tarfile.REGTYPE),
        ("a/clip.mp4", tarfile.REGTYPE),
        ("clip.py", tarfile.REGTYPE),
        ("clip.pkl", tarfile.REGTYPE),
        ("clip.pyd", tarfile.REGTYPE),
        ("clip.mp4", tarfile.FIFOTYPE),
        ("clip.mp4", tarfile.CHRTYPE),
        ("clip.mp4", tarfile.SYMTYPE),
        ("clip.mp4", tarfile.LNKTYPE),
        ("clip.mp4", tarfile.DIRTYPE),
        ("clip.mp4", tarfile.GNUTYPE_SPARSE),
        ("clip.mp4", tarfile.REGTYPE),  # without its flac and json
    ],
)
def test_foreign_members_are_refused(tmp_path, name, kind):
    path = tmp_path / "train-000000.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    with pytest.raises(UserError, match="train-000000"):
        index_shard(path)


def test_one_message_counts_the_faults_and_nothing_is_written(tmp_path):
    path = tmp_path / "train-000000.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../evil.mp4", "a.mp4", "a.json", "b.pickle"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match=r"train-000000.tar: '../evil.mp4' is not .* and 2 more faults; .* refused"):
        index_shard(path)
    assert [*tmp_path.iterdir()] == [path] and not (tmp_path.parent / "evil.mp4").exists()


def test_members_of_a_sample_are_neighbours_as_plain_webdataset_needs_them(tmp_path):
    path = tmp_path / "train-000000.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a.mp4", "a.flac", "b.mp4", "b.flac", "b.json", "a.json"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match=r"'a\.json' is not beside the others of its sample; .* refused"):
        index_shard(path)


@pytest.mark.parametrize("wanted", [["json"], ["flac", "json"], ["mp4"], ["json", "mp4", "flac"]])
def test_a_sample_is_read_from_where_it_begins(shard, wanted):
    index = index_shard(shard)
    with shard.open("rb", buffering=0) as file:
        for entry, sample in zip(index, samples(), strict=True):
            given = sample | {"json": json.dumps(sample["json"], ensure_ascii=False).encode()}
            assert read_sample(file, entry["start"], wanted) == (entry["key"], {name: given[name] for name in wanted})
        with pytest.raises(OSError, match="changed"):  # the next sample's would be another's
            read_sample(file, index[0]["start"], ["synth.flac"])


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [300 << 20, 1 << 40, 1 << 62])
def test_a_gigantic_member_is_refused_by_what_it_claims(tmp_path, size):
    path = tmp_path / "train-000000.tar"
    path.write_bytes(header("clip.mp4", size) + bytes(2048))
    with pytest.raises(UserError, match=f"claims {size} bytes"):
        index_shard(path)


def test_a_negative_size_is_refused_and_does_not_loop(tmp_path):
    block = bytearray(header("clip.mp4", 0))
    block[124:136] = (-512 + 256**12).to_bytes(12, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "train-000000.tar"
    path.write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(UserError, match="train-000000"):
        index_shard(path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_gigantic_header_is_not_read(tmp_path, kind):
    path = tmp_path / "train-000000.tar"
    with path.open("wb") as file:
        file.write(header("x", 3 << 30, kind))
        file.truncate(4 << 30)
    with pytest.raises(UserError, match="a header of"):
        index_shard(path)


def test_missing_shard(tmp_path):
    with pytest.raises(UserError, match="no such shard"):
        index_shard(tmp_path / "train-000000.tar")


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", "{}", '{"shards": 3}', '{"shards": [{"file": "../x.tar"}], "name": 1, "hash": 1, "splits": 1}'],
)
def test_missing_or_foreign_corpus_json(tmp_path, text):
    if text is not None:
        (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(UserError, match="slts prepare"):
        read_corpus_json(tmp_path)


@pytest.mark.parametrize("file", ["../train-000000.tar", "train-٣.tar", f"train-{'0' * 99}.tar", "train-0.tar\n"])
def test_a_shard_outside_the_folder_or_of_an_odd_name_is_refused(tmp_path, file):
    facts = dict.fromkeys(["name", "hash", "splits", "speakers", "mel"])
    (tmp_path / "corpus.json").write_text(json.dumps({**facts, "shards": [{"file": file}]}))
    with pytest.raises(UserError, match=r"corpus\.json"):
        read_corpus_json(tmp_path)


def test_a_list_of_shards_is_what_corpus_json_says_in_little_memory():
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)] + ["00" * 32]
    names = ["train-000000.tar", "train-000001.tar", "trained-000000.tar", "val-000000.tar"]
    given = [{"file": f, "sha256": h, "clips": 2**i} for i, (f, h) in enumerate(zip(names, hashes, strict=True))]
    shards = ShardList.of(given)
    assert [*shards] == given and shards[-1] == given[-1] and json.dumps(given) == json.dumps(shards, default=list)
    assert [shards.number(name) for name in names] == [0, 1, 2, 3]
    assert [*shards.split("train")] == given[:2] and [*shards.split("val")] == given[3:] and not shards.split("test")
    assert shards.table.nbytes <= 80 * len(shards)
