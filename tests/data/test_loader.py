"""Batches from real shards: workers, resume, augmentation, damage."""

import json
import os
import shutil
import tarfile
from itertools import islice

import numpy as np
import pytest
import torch

from slts.data.augmentation import Augmentation, augment
from slts.data.dataset import ShardDataset
from slts.data.decoding import decode_picture, decode_sound, to_rgb
from slts.data.loader import evaluation_loader, training_loader
from slts.data.media import decode_flac, decode_frames, encode_flac, encode_h264
from slts.data.shards import index_shard, write_shard
from slts.errors import UserError
from slts.files import sha256

CLIPS = (5, 3, 6)


def picture(seed: int, frames: int = 12, side: int = 32) -> np.ndarray:
    """A bright square that walks over a grey ground: (T, side, side, 3)."""
    video = np.full((frames, side, side, 3), 90, np.uint8)
    for i, frame in enumerate(video):
        frame[8:16, (seed + i) % 24 : (seed + i) % 24 + 8] = (220, 60 + 10 * (seed % 9), 40)
    return video


def make_corpus(folder, clips=CLIPS, frames: int = 12, damaged: str | None = None, strange: dict | None = None):
    folder.mkdir()
    shards, number = [], 0
    for s, count in enumerate(clips):
        samples = []
        for _ in range(count):
            sound = np.sin(np.arange(frames * 640) * (0.05 + number / 100)).astype(np.float32) / 4
            facts = {"speaker": "s1", "fps": 25.0, "frames": frames, "offset_ms": None, "text": ""} | (strange or {})
            video = encode_h264(picture(number, frames), 25.0)
            key = f"clip-{number:02d}"
            video = video[: len(video) // 2] if key == damaged else video
            samples.append({"key": key, "mp4": video, "flac": encode_flac(sound), "json": facts})
            number += 1
        path = folder / f"train-{s:06d}.tar"
        write_shard(path, samples).rename(path)
        shards.append({"file": path.name, "sha256": sha256(path), "clips": count})
    facts = {"name": "test", "hash": "0", "splits": {"train": {}}, "speakers": ["s1"], "mel": None, "shards": shards}
    (folder / "corpus.json").write_text(json.dumps(facts))
    return folder


def flip_a_bit(shard) -> None:
    """Damage that no decoder notices, in the padding of a member."""
    data = bytearray(shard.read_bytes())
    offset, size = index_shard(shard)[-1]["members"]["json"]
    data[offset + size] ^= 1
    shard.write_bytes(data)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("loader") / "corpus")


RANDOM = Augmentation(0.8, 0.5, 0.5, 0.5, chunk_seconds=0.32)


def dataset(corpus, channels=1, change=RANDOM, **more) -> ShardDataset:
    return ShardDataset(corpus, "train", 24, channels, change, seed=3, **more)


def batches(corpus, steps, size=6, position=0, rank=0, ranks=1, workers=0, **more):
    stream = iter(training_loader(dataset(corpus, **more), size, position, rank, ranks, workers))
    return list(islice(stream, steps))


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_clip_once_an_epoch_whatever_the_ranks_and_workers(corpus, ranks, workers):
    steps = 7  # of 6 clips each: three epochs of 14
    parts = [batches(corpus, steps, rank=r, ranks=ranks, workers=workers, window_shards=2) for r in range(ranks)]
    keys = [
        key for step in zip(*parts, strict=True) for rank in zip(*(b.key for b in step), strict=True) for key in rank
    ]
    for epoch in range(3):
        assert sorted(keys[14 * epoch : 14 * epoch + 14]) == [f"clip-{i:02d}" for i in range(14)]
    alone = batches(corpus, steps, window_shards=2)
    assert keys == [key for batch in alone for key in batch.key]
    for step, batch in zip(zip(*parts, strict=True), alone, strict=True):
        for rank in range(ranks):
            assert torch.equal(step[rank].video, batch.video[rank::ranks])
            assert torch.equal(step[rank].audio, batch.audio[rank::ranks])


@pytest.mark.parametrize("channels", [1, 3])
def test_resume_gives_equal_batches_and_the_cache_changes_nothing(corpus, channels):
    whole = batches(corpus, 5, channels=channels)
    for cache in (0, 30_000, 10**9):
        rest = batches(corpus, 3, position=12, channels=channels, cache_bytes=cache)
        assert [b.key for b in rest] == [b.key for b in whole[2:]]
        assert all(torch.equal(a.video, b.video) and torch.equal(a.audio, b.audio) for a, b in zip(rest, whole[2:]))  # noqa: B905


def test_loader_processes_share_what_they_index(corpus):
    data = dataset(corpus)
    assert data.places.blocks.nbytes == 14 * 4 and not data.places.blocks.any()
    stream = iter(training_loader(data, 2, 0, 0, 1, workers=2))
    list(islice(stream, 7))  # an epoch, of which each process made half
    assert data.places.blocks.all()
    entries = index_shard(corpus / "train-000001.tar")
    assert data.places.offset(1, 2) == entries[2]["start"]


def test_keys_longer_than_a_header_and_shards_that_others_packed(corpus, tmp_path):
    for number, path in enumerate(sorted(corpus.glob("*.tar"))):
        with tarfile.open(path) as old, tarfile.open(tmp_path / path.name, "w", format=tarfile.PAX_FORMAT) as new:
            for member in old.getmembers():
                content = old.extractfile(member)
                member.name = member.name.replace("clip", "clip" * 40 if number else "clip")
                member.mtime = 1.5  # a time that takes an extended header, as webdataset writes it
                new.addfile(member, content)
    facts = json.loads((corpus / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    whole, packed = dataset(corpus), dataset(tmp_path, verify_shards=False)
    for sample in (0, 4, 5, 13):
        ours, theirs = whole[0, sample], packed[0, sample]
        assert torch.equal(ours["video"], theirs["video"]) and torch.equal(ours["audio"], theirs["audio"])
        assert theirs["key"].replace("clip" * 40, "clip") == ours["key"]
    assert len(packed[0, 5]["key"]) > 100


def test_a_folder_whose_name_is_not_utf8_is_read(corpus, tmp_path):
    odd = tmp_path / os.fsdecode(b"corp\xff")
    shutil.copytree(corpus, odd)
    assert dataset(odd)[0, 0]["key"] == "clip-00"


def test_more_clips_than_memory_holds_are_one_line(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "c")
    facts = json.loads((corpus / "corpus.json").read_text())
    facts["shards"][0]["clips"] = 10**16
    (tmp_path / "c" / "corpus.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"corpus\.json lists 10000000000000009 clips, more than"):
        dataset(tmp_path / "c")


def test_a_shard_that_changes_under_training_is_one_line(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "c")
    data = dataset(tmp_path / "c")
    assert data[0, 0]["key"] == "clip-00"
    (tmp_path / "c" / "train-000000.tar").write_bytes(bytes(10240))
    with pytest.raises(UserError, match=r"train-000000\.tar of .* can no longer be read \(it has changed"):
        data[0, 0]


def test_evaluation_sees_every_clip_whole_and_once(corpus):
    clips = list(evaluation_loader(dataset(corpus, change=Augmentation(0.8)), 4))
    assert [key for b in clips for key in b.key] == dataset(corpus).keys == [f"clip-{i:02d}" for i in range(14)]
    assert all(b.frames.tolist() == [12] * len(b.key) for b in clips)


def test_a_stretch_of_a_long_clip_is_what_whole_decoding_gives():
    video = picture(0, 200)
    sound = np.sin(np.arange(200 * 640) / 9).astype(np.float32) / 4
    mp4, flac = encode_h264(video, 29.97), encode_flac(sound)
    whole, audio = decode_frames(mp4, grey=True), decode_flac(flac)
    for first, count in [(0, 200), (0, 3), (74, 3), (75, 1), (76, 80), (199, 1)]:
        assert (decode_picture(mp4, 29.97, first, count, True) == whole[first : first + count]).all()
        rgb = to_rgb(decode_picture(mp4, 29.97, first, count, False))
        assert np.abs(rgb.astype(int) - decode_frames(mp4)[first : first + count]).mean() < 2
        assert (decode_sound(flac, first * 640, count * 640) == audio[first * 640 : (first + count) * 640]).all()
    assert not decode_sound(flac, 199 * 640, 1280)[640:].any()


def changed(seed: int = 0, **keys) -> np.ndarray:
    change = Augmentation(chunk_seconds=3.0, **keys)
    return augment(picture(0), 25.0, 32, change, np.random.default_rng(seed)).numpy()


def test_augmentation_does_what_its_keys_say():
    plain = picture(0).transpose(0, 3, 1, 2)
    assert (changed() == plain).all()
    assert (changed(flip=1.0) == plain[..., ::-1]).all()
    for seed in range(20):
        different = (changed(seed, erase=1.0) != plain).any((0, 1))
        rows, columns = np.flatnonzero(different.any(1)), np.flatnonzero(different.any(0))
        area = (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0])
        assert different[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert area <= 0.25 * 32 * 32
        masked = np.flatnonzero((changed(seed, time_mask=1.0) != plain).any((1, 2, 3)))
        assert 1 <= len(masked) <= 6 and masked[-1] - masked[0] == len(masked) - 1
    places = {changed(seed, crop=0.5).tobytes() for seed in range(30)}
    assert len(places) > 15


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_is_refused_with_one_message(tmp_path, workers):
    damaged = make_corpus(tmp_path / "corpus", damaged="clip-06")
    with pytest.raises(UserError, match=r"train-000001\.tar: sample clip-06 cannot be read") as caught:
        batches(damaged, 3, workers=workers)
    assert "\n" not in str(caught.value)


def test_a_shard_with_other_clips_than_recorded_is_refused(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    shutil.copy(corpus / "train-000000.tar", tmp_path / "corpus" / "train-000001.tar")
    with pytest.raises(UserError, match=r"train-000001\.tar: 5 samples, and 3 in corpus\.json"):
        batches(tmp_path / "corpus", 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_that_is_not_as_recorded_is_refused_unless_told_otherwise(corpus, tmp_path, workers):
    shutil.copytree(corpus, tmp_path / "corpus")
    damaged = tmp_path / "corpus" / "train-000001.tar"
    flip_a_bit(damaged)
    with pytest.raises(UserError, match=r"train-000001\.tar: its SHA-256 is not that of corpus\.json") as caught:
        batches(tmp_path / "corpus", 3, workers=workers)
    assert "\n" not in str(caught.value)
    assert len(batches(tmp_path / "corpus", 3, workers=workers, verify_shards=False)) == 3


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        ({"offset_ms": float("nan")}, "an offset of nan ms"),
        ({"offset_ms": "0"}, "no proper offset_ms"),
        ({"fps": 24.0}, "25 frames a second, its JSON says 24"),
        ({"fps": float("inf")}, "inf frames a second"),
        ({"frames": 11}, "12 frames, its JSON says 11"),
        ({"frames": 12.0}, "no proper frames"),
        ({"speaker": ["s1"]}, "no proper speaker"),
    ],
)
def test_a_sample_that_verification_refuses_does_not_train(tmp_path, strange, words):
    with pytest.raises(UserError, match=rf"sample clip-\d+ cannot be read .*{words}") as caught:
        batches(make_corpus(tmp_path / "corpus", strange=strange), 1)
    assert "\n" not in str(caught.value)


def test_pictures_of_another_size_than_the_corpus_do_not_train(tmp_path):
    folder = make_corpus(tmp_path / "corpus")
    facts = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps(facts | {"size": 48}))
    with pytest.raises(UserError, match=r"pictures of 32x32, corpus\.json says 48"):
        batches(folder, 1)


@pytest.mark.parametrize(
    "strange",
    [
        {"mel": {"mean": [float("nan")], "std": [1.0]}},
        {"mel": {"mean": [0.0], "std": [0.0]}},
        {"mel": {"mean": [0.0, 1.0], "std": [1.0]}},
        {"mel": [1]},
        {"speakers": [3]},
        {"splits": {"train": 3}},
        {"fps": [0]},
    ],
)
def test_a_strange_corpus_json_is_one_line(corpus, tmp_path, strange):
    facts = json.loads((corpus / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps(facts | strange))
    with pytest.raises(UserError, match=r"not a corpus\.json of slts prepare") as caught:
        dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_such_split(corpus):
    with pytest.raises(UserError, match="no val split"):
        ShardDataset(corpus, "val", 24, 1)
