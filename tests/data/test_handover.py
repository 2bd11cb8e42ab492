"""Trainings where shared memory or open files are scarce, and where a shard or a loader process is lost."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from conftest import ROOT
from test_loader import dataset, make_corpus

from slts.data import handover
from slts.data.handover import Piped, deaths_named, narrow
from slts.data.loader import training_loader
from slts.errors import UserError

pytestmark = pytest.mark.long

TINY = [
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8",
    "steps=2", "validate_every=2", "validate_clips=1", "batch_size=4", "cache_gb=0", "workers=2",
]  # fmt: skip
SMALL = "mount -t tmpfs -o size=64k tmpfs /dev/shm"


def in_shell(setting: str, *arguments: str) -> subprocess.CompletedProcess:
    """``slts ...`` after a setting of the shell, in a mount namespace of its own where the setting mounts."""
    shell = ["unshare", "-rm", "sh"] if "mount" in setting else ["sh"]
    return subprocess.run(
        [*shell, "-c", f'{setting} && exec {sys.executable} -m slts.cli "$@"', "slts", *arguments],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "sh", "-c", SMALL], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def plain(tiny_corpus, tmp_path_factory) -> bytes:
    """Weights of a training with room for everything."""
    runs = tmp_path_factory.mktemp("plain")
    done = in_shell("true", "train", f"data={tiny_corpus}", f"runs={runs}", "name=a", *TINY)
    assert done.returncode == 0 and "pipes" not in done.stdout, done.stderr
    return (runs / "a" / "last" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("setting", [SMALL, "ulimit -n 30"])
def test_a_machine_with_little_room_trains_the_same_and_says_so_in_a_line(tiny_corpus, tmp_path, plain, setting):
    if setting == SMALL and not may_mount():
        pytest.skip("this user may not mount a small /dev/shm")
    done = in_shell(setting, "train", f"data={tiny_corpus}", f"runs={tmp_path}", "name=a", *TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if "go through pipes" in line]
    assert ("/dev/shm has 0.1 MB free" if setting == SMALL else "30 files only (ulimit -n)") in line
    assert (tmp_path / "a" / "last" / "model.safetensors").read_bytes() == plain


def test_room_is_judged_by_what_is_under_way(monkeypatch):
    monkeypatch.setattr(handover.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 64_000_000))
    if handover.SHARED.is_dir():
        assert narrow(12_000_000, 2) is None and "need 65 MB" in narrow(13_000_000, 2)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        assert "need 120 MB" in narrow(12_000_000, 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("handover") / "corpus")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_piped_batch_is_the_batch_and_lies_in_memory_as_it(corpus, channels):
    batch = next(iter(training_loader(dataset(corpus, channels), 4, 0, 0, 1, 0)))
    batch = replace(batch, sounds={"synth": torch.randn(4, 9)[:, 1:]})
    piped = Piped.of(batch)
    assert all(isinstance(flat, np.ndarray) for flat, _ in (*piped.tensors.values(), *piped.sounds.values()))
    assert set(piped.sounds) == {"synth"} and set(piped.others) == {"key", "valid"}
    again = piped.batch()
    assert again.sounds["synth"].equal(batch.sounds["synth"])
    for name, value in vars(batch).items():
        other = getattr(again, name)
        if isinstance(value, torch.Tensor):
            assert value.equal(other) or name == "offset_ms"
            assert value.stride() == other.stride() and value.dtype == other.dtype
        elif name != "sounds":
            assert value == other


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_that_vanishes_while_training_is_one_line(corpus, tmp_path, workers):
    shutil.copytree(corpus, tmp_path / "corpus")
    stream = iter(training_loader(dataset(tmp_path / "corpus"), 2, 0, 0, 1, workers))
    next(stream)
    for shard in (tmp_path / "corpus").glob("*.tar"):
        shard.unlink()
    with pytest.raises(UserError, match=r"train-\d+\.tar(: no such shard| of .*can no longer be read \(No such file)"):
        for _ in range(20):
            next(stream)


def test_a_loader_process_that_dies_is_one_line(tiny_corpus, tmp_path):
    endless = ["steps=100000", "validate_every=100000", "log_every=1"]
    command = [sys.executable, "-m", "slts.cli", "train", f"data={tiny_corpus}", f"runs={tmp_path}", "name=a"]
    with (tmp_path / "said").open("w") as said:
        training = subprocess.Popen([*command, *TINY, *endless], stdout=said, stderr=said, cwd=ROOT)
    try:
        deadline = time.time() + 600
        while "step 2:" not in (tmp_path / "said").read_text() and time.time() < deadline:
            time.sleep(0.2)
        psutil.Process(training.pid).children()[0].kill()
        assert training.wait(300) == 2
    finally:
        training.kill()
        training.wait()
    last = (tmp_path / "said").read_text().splitlines()[-1]
    assert last.startswith("slts train: a loader process died (DataLoader worker") and "want of memory" in last
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="of another kind"), deaths_named():
        raise RuntimeError("of another kind")
