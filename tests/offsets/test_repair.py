"""Offsets taken out of a shard's samples: what is seen is heard at the same instant, nothing padded."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from flash_and_beep import beep, flash, flash_frames, onset, write_video

from slts.cli import run
from slts.data.clip import Reject
from slts.data.destination import Folder
from slts.data.media import decode_flac, decode_frames, encode_flac, encode_h264
from slts.data.shards import index_shard
from slts.errors import UserError
from slts.offsets.repair import repair_corpus, repair_sample


def sample(offset: float, fps: float = 25.0, seconds: float = 3.0, **facts) -> dict:
    """A flash at 1.2 s and a beep ``offset`` ms before it, the beep's time among the words."""
    frames = flash_frames(seconds, 1.2, fps, (64, 64))
    at = 1.2 - offset / 1000
    facts = {"fps": fps, "frames": len(frames), "offset_ms": offset, "words": [[at, at + 0.04, "beep"]], **facts}
    audio = beep(seconds, at, 16000).astype(np.float32)
    return {"key": "a", "mp4": encode_h264(frames, fps), "flac": encode_flac(audio), "json": facts}


@pytest.mark.parametrize("fps", [25.0, 30.0])
@pytest.mark.parametrize("offset", [120, 37, -37, -200, 13.5])
def test_flash_and_beep_meet(offset, fps):
    before = sample(offset, fps)
    after = repair_sample(before, offset, 1.0)
    frames, audio, facts = decode_frames(after["mp4"]), decode_flac(after["flac"]), after["json"]
    assert flash(frames) / fps - onset(audio) == pytest.approx(0, abs=1e-3)
    assert facts["offset_ms"] == 0 and facts["repaired"] == offset
    assert facts["words"][0][0] == pytest.approx(onset(audio), abs=2e-3)
    assert facts["frames"] == len(frames) and len(audio) == round(len(frames) / fps * 16000)
    assert before["json"]["frames"] - len(frames) == int(np.ceil(abs(offset) / 1000 * fps))
    assert repair_sample(after, offset, 1.0) is after


def test_what_is_known_of_the_picture_moves_with_it():
    squares = [[i, 0, 10] for i in range(75)]
    facts = repair_sample(sample(120, face={"squares": squares}, start=7.0, phones=[[0.0, 0.01, "x"]]), 120, 1.0)[
        "json"
    ]
    assert facts["face"]["squares"] == squares[3:] and facts["start"] == pytest.approx(7.12)
    assert facts["phones"] == [[0.0, 0.01, "x"]]  # the sound's own beginning stays where the picture lagged
    facts = repair_sample(sample(-120, face={"squares": squares}, start=7.0, phones=[[0.0, 0.01, "x"]]), -120, 1.0)[
        "json"
    ]
    assert facts["face"]["squares"] == squares[:72] and facts["start"] == 7.0 and facts["phones"] == []


def test_an_unknown_truth_stays_unknown():
    assert repair_sample(sample(120, offset_ms=None), 120, 1.0)["json"]["offset_ms"] is None


def test_a_clip_that_becomes_too_short_is_rejected():
    with pytest.raises(Reject, match="too_short"):
        repair_sample(sample(-200, seconds=2.0), -200, 1.9)


def test_without_an_offset_nothing_is_touched():
    before = sample(40)
    assert repair_sample(before, None, 1.0) is before and repair_sample(before, 0.0, 1.0) is before


def test_a_damaged_ledger_stops_no_repair(tiny_corpus, tmp_path, caplog):
    data, out = tmp_path / "corpus", tmp_path / "out"
    shutil.copytree(tiny_corpus, data)
    kept = {"source": "x.mp4", "reason": "no_face", "detail": ""}
    (data / "rejected.jsonl").write_bytes(b"\xff\xfe\n" + json.dumps(kept).encode() + b'\n{"no": "reason"}\n{"source')
    [key] = [entry["key"] for entry in index_shard(data / "test-000000.tar")][:1]
    corpus = repair_corpus(data, {key: 40.0}, "the truth", Folder(out))
    assert corpus["rejected"] == {"no_face": 1}
    assert [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()] == [kept]
    assert caplog.messages == [f"{data}/rejected.jsonl, line 1: no JSON object, and 1 more such lines; left out"]


def test_repaired_to_an_address_are_the_bytes_of_the_folder(tiny_corpus, tmp_path):
    entries = [entry for shard in tiny_corpus.glob("*.tar") for entry in index_shard(shard)]
    (tmp_path / "o.csv").write_text("key,offset_ms\n" + "".join(f"{entry['key']},40\n" for entry in entries))
    for out in (tmp_path / "folder", f"file://{tmp_path}/there"):
        assert run("offsets", ["action=apply", f"data={tiny_corpus}", f"offsets={tmp_path}/o.csv", f'out="{out}"']) == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "folder").iterdir() if path.name != ".prepare.lock"}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} and len(made) > 4


def test_a_full_disk_leaves_no_half_repaired_video(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mkv", noise, beep(2, 0.4))
    before = (tmp_path / "in" / "a.mkv").read_bytes()
    (tmp_path / "o.csv").write_text("key,offset_ms\na,40\n")
    arguments = f"action=apply data={tmp_path}/in offsets={tmp_path}/o.csv out={tmp_path}/out"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f {len(before) // 2048}; exec {sys.executable} -m slts.cli offsets {arguments}"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2 and "ulimit -f" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not list((tmp_path / "out").iterdir()) and (tmp_path / "in" / "a.mkv").read_bytes() == before


def test_a_shard_that_is_not_the_recorded_one_is_not_repaired(tiny_corpus, tmp_path):
    corpus = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    shard = next(corpus.glob("train-*.tar"))
    entry = index_shard(shard)[0]
    data, (offset, size) = bytearray(shard.read_bytes()), entry["members"]["json"]
    data[offset + size] ^= 1  # in the padding, which no decoder notices
    shard.write_bytes(data)
    with pytest.raises(UserError, match=rf"{shard.name}: its SHA-256 is not that of corpus\.json"):
        repair_corpus(corpus, {entry["key"]: 40.0}, "test", Folder(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("train-*.tar"))
