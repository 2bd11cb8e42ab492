import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from flash_and_beep import beep, flash, flash_frames, onset, write_video
from omegaconf import DictConfig, OmegaConf

from slts.audio.mel import log_mel
from slts.commands import prepare
from slts.commands.prepare import make_corpus
from slts.data import assembly, cutting, preparation
from slts.data.claim import claimed
from slts.data.media import decode_flac, decode_frames, read_clip
from slts.data.shards import index_shard, read_corpus_json
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.files import sha256


def config(root: Path, out: Path, **changes) -> DictConfig:
    values = {
        "corpus": "folder",
        "root": str(root),
        "out": str(out),
        "faces": "none",
        "region": "mouth",
        "size": 32,
        "fps": None,
        "inject": "none",
        "seed": 0,
        "workers": 1,
        "engine": "local",
        "address": None,
        "part": None,
        "shard_clips": 3,
        "min_seconds": 0.5,
        "chunk_seconds": None,
        "video_stream": None,
        "audio_stream": None,
    }
    return OmegaConf.create({**values, **changes})


def samples(out: Path) -> dict[str, dict]:
    """Every sample of a prepared corpus, its members as bytes."""
    found = {}
    for path in sorted(out.glob("*.tar")):
        data = path.read_bytes()
        for entry in index_shard(path):
            found[entry["key"]] = {suffix: data[o : o + size] for suffix, (o, size) in entry["members"].items()}
    return found


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Ten good clips of two speakers, and one of each kind of bad one."""
    root = tmp_path_factory.mktemp("videos")
    for i in range(10):
        speaker = root / ("ann", "bob")[i % 2]
        speaker.mkdir(exist_ok=True)
        write_video(speaker / f"{i}.mkv", flash_frames(1.4, 0.6), beep(1.4, 0.6))
    write_video(root / "ann" / "silent.mkv", flash_frames(1, 0.4), None)
    write_video(root / "ann" / "short.mkv", flash_frames(0.3, 0.1), beep(0.3, 0.1))
    cut = write_video(root / "bob" / "cut.mkv", flash_frames(4, 1), beep(4, 1))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (root / "bob" / "text.mp4").write_text("no video")
    return root


@pytest.fixture(scope="module")
def prepared(videos, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "corpus"
    make_corpus(config(videos, out))
    return out


def test_nothing_is_lost_in_silence(prepared):
    corpus = read_corpus_json(prepared)
    kept = samples(prepared)
    ledger = [json.loads(line) for line in (prepared / "rejected.jsonl").read_text().splitlines()]
    reasons = {line["source"]: line["reason"] for line in ledger}
    assert reasons == {
        "ann/silent.mkv": "no_audio",
        "ann/short.mkv": "too_short",
        "bob/cut.mkv": "truncated",
        "bob/text.mp4": "unreadable",
    }
    assert all(line["detail"] for line in ledger)
    assert len(kept) == 10 == sum(split["clips"] for split in corpus["splits"].values())
    assert corpus["rejected"] == {"no_audio": 1, "too_short": 1, "truncated": 1, "unreadable": 1}


def test_corpus_json_tells_what_is_there(prepared):
    corpus = read_corpus_json(prepared)
    kept = samples(prepared)
    facts = {key: json.loads(sample["json"]) for key, sample in kept.items()}
    assert (corpus["name"], corpus["speakers"], corpus["fps"], corpus["size"]) == ("folder", ["ann", "bob"], [25.0], 32)
    for split, count in corpus["splits"].items():
        assert count["clips"] == sum(f["split"] == split for f in facts.values())
        assert count["hours"] == pytest.approx(count["clips"] * 1.4 / 3600, abs=1e-4)
    assert {s["file"]: s["sha256"] for s in corpus["shards"]} == {p.name: sha256(p) for p in prepared.glob("*.tar")}
    training = [decode_flac(kept[key]["flac"]) for key, f in facts.items() if f["split"] == "train"]
    mel = torch.cat([log_mel(torch.from_numpy(audio)[None])[0] for audio in training]).double()
    assert np.allclose(corpus["mel"]["mean"], mel.mean(0), atol=1e-4)
    assert np.allclose(corpus["mel"]["std"], mel.std(0, correction=0), atol=1e-4)


def test_a_sample_holds_picture_sound_and_facts(prepared):
    for key, sample in samples(prepared).items():
        facts = json.loads(sample["json"])
        frames, audio = decode_frames(sample["mp4"]), decode_flac(sample["flac"])
        assert facts["source"] == f"{facts['speaker']}/{key.partition('_')[2]}.mkv"
        assert (facts["fps"], facts["frames"], facts["offset_ms"], facts["text"]) == (25.0, 35, None, None)
        assert facts["face"] == {
            "detector": "none",
            "region": "mouth",
            "box": [0.0, 0.0, 64.0, 48.0],
            "square": [8, 0, 48],
        }
        assert frames.shape == (35, 32, 32, 3) and len(audio) == 35 * 640
        assert abs(onset(audio) - flash(frames) / 25) < 1e-3


def test_injected_offsets_are_true_and_repeatable(videos, tmp_path):
    summary = make_corpus(config(videos, tmp_path / "a", inject="lagged"))
    offsets = []
    for sample in samples(tmp_path / "a").values():
        facts = json.loads(sample["json"])
        seen = flash(decode_frames(sample["mp4"])) / 25
        assert (seen - onset(decode_flac(sample["flac"]))) * 1000 == pytest.approx(facts["offset_ms"], abs=0.2)
        assert facts["frames"] == 24  # floor of 1.4 - 0.24 - 0.2 s
        offsets.append(facts["offset_ms"])
    assert len(set(offsets)) > 5 and min(offsets) >= -200 and max(offsets) <= 40
    make_corpus(config(videos, tmp_path / "b", inject="lagged", shard_clips=64))
    assert samples(tmp_path / "a") == samples(tmp_path / "b")
    other = make_corpus(config(videos, tmp_path / "c", inject="lagged", seed=1))
    assert other["hash"] != summary["hash"]


RUN = """
import json, sys
from omegaconf import OmegaConf
from slts.commands.prepare import make_corpus
if __name__ == "__main__":
    make_corpus(OmegaConf.create(json.loads(sys.argv[1])))
"""


def start(script: Path, settings: DictConfig) -> subprocess.Popen:
    script.write_text(RUN)
    return subprocess.Popen(
        [sys.executable, str(script), json.dumps(OmegaConf.to_container(settings))],
        env={**os.environ, "PYTHONPATH": str(Path(preparation.__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in a shell's background ignore it
    )


def test_killed_with_two_workers_and_started_again_gives_equal_bytes(videos, prepared, tmp_path):
    out = tmp_path / "corpus"
    process = start(tmp_path / "run.py", config(videos, out, workers=2))
    deadline = time.monotonic() + 600
    while not list(out.glob("*.tar")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert done and not (out / "corpus.json").exists()
    (out / ".train-000000.tar.1.tmp").write_bytes(b"half")
    make_corpus(config(videos, out))
    assert contents(out) == contents(prepared)
    assert done.items() <= {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}.items()


def test_a_finished_corpus_is_not_made_again(videos, prepared, monkeypatch):
    before = contents(prepared)
    monkeypatch.setattr(preparation, "make_shard", lambda *_: pytest.fail("made again"))
    make_corpus(config(videos, prepared))
    assert contents(prepared) == before


def test_a_damaged_shard_is_made_again(videos, prepared):
    before = contents(prepared)
    (prepared / "train-000001.tar").write_bytes(before["train-000001.tar"][:5000])
    make_corpus(config(videos, prepared))
    assert contents(prepared) == before


@pytest.mark.parametrize("change", [{"size": 48}, {"seed": 1}, {"inject": "jitter"}, {"region": "face"}, {"fps": 30.0}])
def test_another_corpus_is_not_overwritten(videos, prepared, change):
    before = contents(prepared)
    with pytest.raises(UserError, match=next(iter(change))):
        make_corpus(config(videos, prepared, **change))
    assert contents(prepared) == before


def test_folders_that_cannot_be_used_are_named(videos, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=f"out={tmp_path}"):
        make_corpus(config(videos, tmp_path))
    with pytest.raises(UserError, match=r"out=.*letter\.txt"):
        make_corpus(config(videos, tmp_path / "letter.txt"))
    with pytest.raises(UserError, match="out=/proc/none"):
        make_corpus(config(videos, Path("/proc/none")))
    with pytest.raises(UserError, match="size=33"):
        make_corpus(config(videos, tmp_path / "odd", size=33))


def test_no_face_anywhere_is_one_clear_message_and_a_ledger(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mkv", flash_frames(1, 0.4), beep(1, 0.4))
    with pytest.raises(UserError, match=r"no_face 1.*rejected\.jsonl"):
        make_corpus(config(tmp_path / "in", tmp_path / "out", faces="cascade"))
    assert json.loads((tmp_path / "out" / "rejected.jsonl").read_text())["reason"] == "no_face"


def test_a_surprise_in_one_clip_does_not_stop_the_rest(videos, tmp_path, monkeypatch):
    real = preparation.encode_h264
    calls = iter(range(100))

    def flawed(frames, fps):
        if next(calls) == 4:
            raise RuntimeError("surprise")
        return real(frames, fps)

    monkeypatch.setattr(preparation, "encode_h264", flawed)
    corpus = make_corpus(config(videos, tmp_path / "out"))
    assert corpus["rejected"]["error"] == 1
    assert sum(split["clips"] for split in corpus["splits"].values()) == 9
    assert "RuntimeError: surprise" in (tmp_path / "out" / "rejected.jsonl").read_text()


def test_an_interrupt_ends_quickly_and_leaves_no_process(videos, tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(60):  # work for long enough to be interrupted in
        shutil.copy(videos / "ann" / "0.mkv", tmp_path / "many" / f"{i}.mkv")
    process = start(tmp_path / "run.py", config(tmp_path / "many", tmp_path / "out", workers=2, shard_clips=1))
    while not list((tmp_path / "out").glob("*.tar")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=120)[1].decode()
    assert process.returncode != 0
    assert error.count("Traceback") <= 1 and error.rstrip().endswith("KeyboardInterrupt")


def test_a_second_prepare_in_the_same_folder_is_refused_until_the_first_is_dead(videos, tmp_path):
    out = tmp_path / "out"
    process = start(tmp_path / "run.py", config(videos, out, workers=2, shard_clips=1))
    while not list(out.glob("*.tar")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(UserError, match="another slts prepare is at work"):
        make_corpus(config(videos, out, shard_clips=1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    make_corpus(config(videos, out, shard_clips=1))


def test_parts_made_at_once_are_the_same_corpus(videos, prepared, tmp_path):
    out = tmp_path / "out"
    assert make_corpus(config(videos, out, part="0/2")) is None
    first = {path.name for path in out.glob("*.tar")}
    with claimed(out, json.loads((out / ".prepare.json").read_text()), with_others=True):  # as a third part would
        with pytest.raises(UserError, match="another slts prepare is at work"):
            make_corpus(config(videos, out))
        (out / ".train-000002.tar.1.tmp").write_bytes(b"half")
        assert make_corpus(config(videos, out, part="1/2")) is None
        assert (out / ".train-000002.tar.1.tmp").exists()
    assert first < {path.name for path in out.glob("*.tar")} and not (out / "corpus.json").exists()
    with claimed(out, json.loads((out / ".prepare.json").read_text())), pytest.raises(UserError, match="at work"):
        make_corpus(config(videos, out, part="1/2"))
    assert make_corpus(config(videos, out, part="1/2"))
    assert contents(out) == contents(prepared)
    with pytest.raises(UserError, match="part=2/2: must be NUMBER/PARTS"):
        make_corpus(config(videos, out, part="2/2"))


def test_a_full_disk_leaves_whole_shards_and_says_what_to_free(videos, prepared, tmp_path, monkeypatch):
    real = assembly.write_shard
    calls = iter(range(100))

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > 4096:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def filling(path, samples):
        if next(calls) < 2:
            return real(path, samples)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda path, mode: Full(path, mode))
            return real(path, samples)

    monkeypatch.setattr(assembly, "write_shard", filling)
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"disk is full; free about \d+ MB for the \d+ clips left .* 2 of \d shards"):
        make_corpus(config(videos, out))
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")}.items() <= contents(prepared).items()
    assert len(list(out.glob("*.tar"))) == 2 and not list(out.glob(".*.tmp"))
    monkeypatch.undo()
    make_corpus(config(videos, out))
    assert contents(out) == contents(prepared)


@pytest.fixture
def long_video(tmp_path) -> Path:
    """Nine seconds with a flash and a beep at 1.4, 4.4 and 7.4 s."""
    (tmp_path / "in" / "ann").mkdir(parents=True)
    frames = np.maximum.reduce([flash_frames(9, at) for at in (1.4, 4.4, 7.4)])
    write_video(tmp_path / "in" / "ann" / "long.mkv", frames, sum(beep(9, at) for at in (1.4, 4.4, 7.4)))
    return tmp_path / "in"


def uncut(root: Path):
    video = root / "ann" / "long.mkv"
    load = partial(read_clip, video)
    return [Utterance("long", "train", "ann", "three beeps", "ann/long.mkv", load, video)]


@pytest.mark.parametrize("inject", ["none", "lagged"])
def test_long_videos_become_chunks_with_real_picture_and_sound(long_video, tmp_path, monkeypatch, inject):
    monkeypatch.setattr(prepare, "load_corpus", lambda *_: (uncut(long_video), []))
    out = tmp_path / "out"
    make_corpus(config(long_video, out, chunk_seconds=3, inject=inject))
    made = samples(out)
    assert sorted(made) == ["long-0000", "long-0001", "long-0002"]
    for sample in made.values():
        facts, frames, audio = json.loads(sample["json"]), decode_frames(sample["mp4"]), decode_flac(sample["flac"])
        offset = (flash(frames) / 25 - onset(audio)) * 1000
        assert offset == pytest.approx(facts["offset_ms"] or 0, abs=1)
        assert len(audio) == len(frames) * 640 and len(frames) == (75 if inject == "none" else 64)


def test_a_rest_too_short_is_in_the_ledger(long_video, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "load_corpus", lambda *_: (uncut(long_video), []))
    corpus = make_corpus(config(long_video, tmp_path / "out", chunk_seconds=2.2))
    assert corpus["rejected"] == {"too_short": 1}
    assert json.loads((tmp_path / "out" / "rejected.jsonl").read_text())["source"] == "ann/long.mkv#8.80-11.00"


def test_an_uncut_long_video_is_rejected_with_the_key_that_cuts_it(long_video, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "load_corpus", lambda *_: (uncut(long_video), []))
    monkeypatch.setattr(cutting, "LONGEST", 8.0)
    with pytest.raises(UserError, match="too_long 1"):
        make_corpus(config(long_video, tmp_path / "out"))
    assert "chunk_seconds=30" in (tmp_path / "out" / "rejected.jsonl").read_text()
