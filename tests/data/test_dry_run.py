"""slts prepare dry_run=true: what it foretells is what comes, and nothing is left."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import slts
from flash_and_beep import beep, flash_frames, write_video
from scipy.stats import t as student

from slts.data.dry_run import Measured, Sample, draw
from slts.data.shards import index_shard

KEYS = ("faces=none", "size=32", "workers=1", "min_seconds=0.5")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Seven videos of 1 to 2 s, one too short, one that is none."""
    root = tmp_path_factory.mktemp("dry") / "videos"
    root.mkdir()
    for i in range(8):
        seconds = 0.3 if i == 3 else 1 + i / 7
        write_video(root / f"{i}.mkv", flash_frames(seconds, 0.2), beep(seconds, 0.2))
    (root / "8.mp4").write_bytes(b"no video")
    return root


def rows(said: str) -> dict[str, list[str]]:
    """The words behind the name of each line."""
    return {
        name: line.strip().removeprefix(name).split()
        for line in said.splitlines()
        for name in ("clips", "video", "work:", "work", "time", "disk", "memory of a process", "rejected:")
        if line.strip().startswith(name)
    }


@pytest.mark.parametrize("cutting", ["null", "1"])
def test_of_a_root_read_wholly_it_says_what_prepare_then_leaves(root, tmp_path, cutting):
    keys = ("corpus=folder", f"root={root}", f"chunk_seconds={cutting}", *KEYS)
    said = rows(slts("prepare", "dry_run=true", *keys).stdout)
    assert sorted(path.name for path in root.parent.iterdir()) == ["videos"] and len(list(root.iterdir())) == 9
    slts("prepare", f"out={tmp_path / 'out'}", *keys)
    corpus = json.loads((tmp_path / "out" / "corpus.json").read_text())
    splits, shards = corpus["splits"].values(), sorted((tmp_path / "out").glob("*.tar"))
    assert float(said["clips"][0]) == sum(split["clips"] for split in splits)
    assert said["clips"][1:] == [said["clips"][0], "to", said["clips"][0]]  # nothing was left to chance
    assert float(said["video"][0]) == pytest.approx(sum(split["hours"] for split in splits), rel=0.01)
    stored = [place for shard in shards for entry in index_shard(shard) for place in entry["members"].values()]
    assert float(said["disk"][0]) * 1e9 == pytest.approx(sum(512 + -(-size // 512) * 512 for _, size in stored), 0.01)
    assert 50 < float(said["memory of a process"][0]) < 5000
    assert {"decoding", "face", "crop", "picture", "sound", "mel"} <= set(said["work:"][::2])
    reasons = " ".join(said["rejected:"])
    assert all(f"{reason} {times}" in reasons for reason, times in corpus["rejected"].items())


def test_the_generated_corpus_needs_neither_root_nor_out():
    said = slts("prepare", "dry_run=true", "corpus=synthetic", "clips=40", "seconds=2.4", "shard_clips=20").stdout
    assert "synthetic: 40 files, 25 of them read" in said and rows(said)["clips"] == ["40", "40", "to", "40"]
    assert "rejected: none of 25 files, of all 40 at most 14%" in said and "shard_clips=" not in said


def test_very_many_shards_are_advised_against():
    said = slts("prepare", "dry_run=true", "corpus=synthetic", "clips=60000", "seconds=2.4", "shard_clips=1").stdout
    assert "60000 shards, whose list every process keeps; shard_clips=3 makes 20000 of them" in said


def test_official_layouts_are_read_through_their_readers(root, tmp_path):
    clips, videos = tmp_path / "tcd/lipspeakers/Lipspkr1/Clips/straightcam", tmp_path / "Dataset/chem/videos"
    for folder in (clips, videos):
        folder.mkdir(parents=True)
        for number in range(4, 8):
            shutil.copy(root / f"{number}.mkv", folder / f"si{number}.mp4")
    (tmp_path / "Dataset/chem/train.txt").write_text("si4 si5 si6 gone")
    said = rows(slts("prepare", "dry_run=true", "corpus=tcd_timit", f"root={tmp_path / 'tcd'}", *KEYS).stdout)
    assert said["clips"][0] == "4" and said["rejected:"][:3] == ["none", "of", "4"]
    said = rows(slts("prepare", "dry_run=true", "corpus=lip2wav", f"root={tmp_path}", *KEYS).stdout)
    assert said["clips"][0] == "3" and said["rejected:"][:6] == ["1", "of", "4", "files", "(missing", "1);"]


def test_a_finished_corpus_has_nothing_to_foretell(tmp_path):
    refused = slts("prepare", "dry_run=true", "action=verify", f"data={tmp_path}", check=False)
    assert refused.returncode == 2 and "dry_run=true: action=verify reads what is there" in refused.stderr


def test_strata_cover_the_root_and_hold_the_largest():
    sizes = np.random.default_rng(0).lognormal(0, 1, 500).tolist()
    strata = draw(sizes, 1)
    assert strata == draw(sizes, 1) != draw(sizes, 2)
    assert sum(files for _, files in strata) == 500
    assert strata[-1] == ([int(np.argmax(sizes))], 1)
    drawn = [[sizes[place] for place in places] for places, _ in strata]
    assert all(len(part) == 2 for part in drawn[:-1])
    assert all(max(low) <= min(high) for low, high in pairwise(drawn))
    assert [files for _, files in draw([0.0] * 5, 0)] == [1] * 5


def test_totals_and_margins_are_those_of_a_stratified_sample():
    measured = [Measured(clips=value) for value in (1.0, 3.0, 10.0, 14.0, 40.0)]
    sample = Sample([([0, 1], 10), ([2, 3], 20), ([4], 1)], measured)
    found = sample.total(lambda file: file.clips)
    assert found.value == 10 * 2 + 20 * 12 + 40
    variance = 10**2 * (1 - 2 / 10) * 2 / 2 + 20**2 * (1 - 2 / 20) * 8 / 2  # N_h^2 (1 - f_h) s_h^2 / n_h
    assert found.margin == pytest.approx(student.ppf(0.975, 2) * variance**0.5)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    sizes = rng.lognormal(0, 0.7, 400)
    cost = sizes * rng.uniform(0.7, 1.3, 400)
    held = 0
    for seed in range(200):
        strata, measured = [], []
        for places, files in draw(sizes.tolist(), seed):
            strata.append((list(range(len(measured), len(measured) + len(places))), files))
            measured += [Measured(disk=cost[place]) for place in places]
        found = Sample(strata, measured).total(lambda file: file.disk)
        held += abs(found.value - cost.sum()) <= found.margin
    assert 0.85 <= held / 200 <= 1  # a few large files make it a little less than 0.95
