import io
import json
import re
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest
from conftest import slts

from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.media import decode_flac, encode_flac, encode_h264
from slts.data.shards import index_shard
from slts.data.verification import verify_corpus
from slts.errors import UserError
from slts.files import sha256


@pytest.fixture(scope="module")
def one_shard(tmp_path_factory):
    """A corpus of one shard of four clips."""
    out = tmp_path_factory.mktemp("verified") / "corpus"
    slts("prepare", "corpus=synthetic", "clips=4", "val=0", "test=0", "workers=1", "size=32", f"out={out}")
    return out


@pytest.fixture
def corpus(one_shard, tmp_path):
    return shutil.copytree(one_shard, tmp_path / "corpus")


def shard(corpus):
    return next(corpus.glob("train-*.tar"))


def rewrite(corpus, change) -> None:
    """Pass the members of the first sample through ``change`` and make corpus.json agree with the new shard."""
    path = shard(corpus)
    first = index_shard(path)[0]["key"]
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    mine = {name: members[f"{first}.{name}"] for name in ("mp4", "flac", "json")}
    members.update({f"{first}.{name}": data for name, data in change(mine).items()})
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    facts = json.loads((corpus / "corpus.json").read_text())
    facts["shards"][0]["sha256"] = sha256(path)
    (corpus / "corpus.json").write_text(json.dumps(facts))


def test_parts_find_what_the_whole_does(tiny_corpus, tmp_path):
    corpus = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    with shard(corpus).open("r+b") as file:
        file.seek(700)
        file.write(b"?")
    whole, parts = verify_corpus(corpus), [verify_corpus(corpus, part=f"{number}/2") for number in range(2)]
    assert sorted(key for part in parts for key in part.keys) == sorted(whole.keys)
    assert sum((part.clips for part in parts), Counter()) == whole.clips
    assert {fault for part in parts for fault in part.faults} == {f for f in whole.faults if str(shard(corpus)) in f}
    assert [bool(part.faults) for part in parts].count(True) == 1


def test_a_whole_corpus_has_no_fault_and_its_row_of_table_1(one_shard):
    done = slts("prepare", "action=verify", f"data={one_shard}", "workers=1")
    hours = verify_corpus(one_shard).seconds["train"] / 3600
    stated = json.loads((one_shard / "corpus.json").read_text())["splits"]["train"]
    assert hours == pytest.approx(stated["hours"], abs=1e-4)
    assert f"| synthetic | 4 | 4 | 0 | 0 | {hours:.2f} | 0.00 | 0.00 |" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("4 of 4 clips are good, 1 shards; picture and")
    assert done.stdout.rstrip().endswith("; 0 faults")


def test_faults_are_one_line_each_and_status_1(corpus):
    data = bytearray(shard(corpus).read_bytes())
    offset, size = index_shard(shard(corpus))[1]["members"]["flac"]
    data[offset : offset + size] = bytes(size)
    shard(corpus).write_bytes(data)
    done = slts("prepare", "action=verify", f"data={corpus}", "workers=1", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for words in ("SHA-256", "3 of 4 clips are good", "train has 3 good clips"):
        assert words in done.stdout


def shorter_sound(sample):
    return {"flac": encode_flac(np.zeros(8000, np.float32))}


def fewer_frames(sample):
    return {"mp4": encode_h264(np.zeros((5, 32, 32, 3), np.uint8), 25)}


def other_size(sample):
    frames = json.loads(sample["json"])["frames"]
    return {"mp4": encode_h264(np.zeros((frames, 48, 48, 3), np.uint8), 25)}


def other_rate(sample):
    facts = json.loads(sample["json"])
    return {"mp4": encode_h264(np.zeros((facts["frames"], 32, 32, 3), np.uint8), facts["fps"] * 1.01)}


def changed(**values):
    return lambda sample: {"json": json.dumps({**json.loads(sample["json"]), **values}).encode()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shorter_sound, "a frame apart"),
        (fewer_frames, "5 frames, its JSON says"),
        (other_size, "pictures of 48x48"),
        (other_rate, "not shown at i /"),
        (lambda _: {"mp4": b"no video"}, "unreadable"),
        (lambda _: {"json": b"[]"}, "not an object"),
        (lambda _: {"json": b"{"}, "Expecting"),
        (changed(split="test"), "split test"),
        (changed(speaker=None), "no proper speaker"),
        (changed(fps=0), "0 frames a second"),
        (changed(frames=True), "no proper frames"),
        (changed(speaker="nobody"), "does not name the speakers nobody"),
    ],
)
def test_every_kind_of_fault_is_found(corpus, change, words):
    rewrite(corpus, change)
    assert any(words in fault for fault in verify_corpus(corpus).faults)


def cut_sound(seconds):
    def change(sample):
        whole = decode_flac(sample["flac"])
        samples = max(0, round(len(whole) + seconds * 16000))
        return {"flac": encode_flac(np.pad(whole, (0, samples))[:samples])}

    return change


def half_the_bytes(sample):
    return {"flac": sample["flac"][: len(sample["flac"]) // 2]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut_sound(-1.0), "s of picture, more than a frame apart"),
        (cut_sound(1.0), "s of picture, more than a frame apart"),
        (cut_sound(-0.06), "s of picture, more than a frame apart"),
        (cut_sound(0.03), None),
        (half_the_bytes, "unreadable|truncated"),
    ],
)
@pytest.mark.parametrize("chunk_seconds", [None, 0.8])
def test_sound_of_another_length_than_its_picture_neither_verifies_nor_trains(corpus, change, words, chunk_seconds):
    rewrite(corpus, change)
    faults = [fault for fault in verify_corpus(corpus).faults if ".tar" in fault]
    dataset = ShardDataset(corpus, "train", 32, 1, Augmentation(chunk_seconds=chunk_seconds) if chunk_seconds else None)
    if words is None:
        assert not faults and dataset[0, 0]["audio"].shape[0] > 0
        return
    assert len(faults) == 1 and re.search(words, faults[0])
    with pytest.raises(UserError, match=words) as refused:
        for epoch in range(8):  # a stretch of the beginning may be whole
            dataset[epoch, 0]
    assert "\n" not in str(refused.value) and "action=verify" in str(refused.value)


def test_missing_extra_and_misstated_shards_are_found(corpus):
    shutil.copy(shard(corpus), corpus / "train-000009.tar")
    facts = json.loads((corpus / "corpus.json").read_text())
    facts["splits"]["train"].update(hours=9.0, speakers=7)
    facts["rejected"] = {"no_face": 2}
    (corpus / "corpus.json").write_text(json.dumps(facts))
    faults = "\n".join(verify_corpus(corpus).faults)
    for words in ("train-000009.tar: not in corpus.json", "says 9.0", "says 7", "0 lines, corpus.json says 2"):
        assert words in faults
    (corpus / "train-000009.tar").unlink()
    shard(corpus).unlink()
    assert any("no such shard" in fault for fault in verify_corpus(corpus).faults)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "out=... is required"),
        (["action=verify"], "data=... is required"),
        (["action=verify", "data=x", "out=y"], "takes data=DIR only"),
        (["data=x", "out=y"], "takes out=DIR only"),
        (["action=verify", "data=absent"], "no corpus.json there"),
    ],
)
def test_each_action_asks_for_its_folder(arguments, words):
    done = slts("prepare", *arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr
