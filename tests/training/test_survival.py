"""Real trainings of two processes that are killed, stopped, poisoned, and continued by another number of processes."""

import gc
import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ranks import Ranks
from safetensors.numpy import load_file
from torch.nn.parallel import DistributedDataParallel

from slts.data.dataset import ShardDataset
from slts.training.guards import STOPPED

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))
import kill_resume
import zero

pytestmark = pytest.mark.long

STEPS, STOP, POISONED_STEP = 6, 3, 2


@pytest.fixture(scope="module")
def order(tiny_corpus) -> list[list[str]]:
    """The keys of each step, as one process takes them."""
    dataset = ShardDataset(tiny_corpus, "train", 32, 1)
    return [[dataset.keys[dataset.order[4 * step + i][1]] for i in range(4)] for step in range(STEPS)]


def watch(seen: Path, poison: str, stop: int | None, rank: int) -> None:
    """Writes down the clips of each step of each rank, turns one clip's sound to NaN, signals rank 1 after a step."""
    from slts.training.loop import Trainer

    step, item = Trainer.step, ShardDataset.__getitem__

    def watched(self: Trainer, batch):
        result = step(self, batch)
        with (seen / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.state.step, "keys": batch.key}) + "\n")
        if rank == 1 and self.state.step == stop:
            os.kill(os.getpid(), signal.SIGUSR1)
        return result

    def poisoned(self: ShardDataset, where):
        sample = item(self, where)
        return sample | {"audio": sample["audio"] * float("nan")} if sample["key"] == poison else sample

    leave = torch.distributed.destroy_process_group

    def left(*given) -> None:
        held = [type(one).__name__ for one in gc.get_objects() if isinstance(one, DistributedDataParallel)]
        (seen.parent / f"held-{rank}.txt").write_text(" ".join(held))
        leave(*given)

    Trainer.step, ShardDataset.__getitem__, torch.distributed.destroy_process_group = watched, poisoned, left


@pytest.fixture(scope="module")
def story(tiny_corpus, tmp_path_factory, order) -> dict:
    """Two processes, one clip of step 2 poisoned; a signal to one of them at step 3; one process goes on to the end."""
    folder = tmp_path_factory.mktemp("survival")
    seen, poison = folder / "seen", order[POISONED_STEP - 1][3]
    seen.mkdir()
    keys = [f"data={tiny_corpus}", f"runs={folder}", "name=a", f"steps={STEPS}", "validate_every=100", "workers=1"]
    stopped = Ranks(2, folder / "stopped.log", *keys, prepare=partial(watch, seen, poison, STOP)).wait()
    at_stop = (folder / "a" / "last").resolve().name
    Ranks(1, folder / "ended.log", *keys, prepare=partial(watch, seen, poison, None)).finish()
    return {
        "folder": folder, "run": folder / "a", "seen": seen, "poison": poison, "stopped": stopped, "at_stop": at_stop,
        "log": (folder / "stopped.log").read_text(),
    }  # fmt: skip


def test_a_signal_to_one_rank_saves_and_stops_all(story):
    assert story["stopped"] == [STOPPED, STOPPED], story["log"][-3000:]
    assert story["at_stop"] == f"step-{STOP:08d}"
    assert story["log"].count(f"step {STOP} is saved, the same command continues") == 1


def test_another_number_of_processes_loses_and_repeats_no_clip(story, order):
    files, seen = list(story["seen"].iterdir()), {}
    for file in files:
        for row in map(json.loads, file.read_text().splitlines()):
            seen.setdefault(row["step"], []).extend(row["keys"])
    assert len(files) == 3
    assert {step: sorted(keys) for step, keys in seen.items()} == {
        step: sorted(keys) for step, keys in enumerate(order, start=1)
    }


def test_a_poisoned_clip_is_skipped_and_named(story, order):
    words = f"step {POISONED_STEP} skipped: no finite gradient; clips: {story['poison']}\n"
    assert story["log"].count(words) == 1
    rows = [json.loads(line) for line in (story["run"] / "metrics.jsonl").read_text().splitlines()]
    values = {(row["step"], row["name"]): row["value"] for row in rows}
    for step, keys in enumerate(order, start=1):
        skipped = story["poison"] in keys  # at step 2, and again in the next epoch
        assert values[step, "train/skipped"] == skipped
        assert values.get((step, "train/skipped_clips")) == (story["poison"] if skipped else None)
        assert skipped or np.isfinite(values[step, "loss/total"])
    assert all(np.isfinite(value).all() for value in load_file(story["run"] / "last" / "model.safetensors").values())


def test_too_many_skipped_in_a_row_stop_the_run_with_the_clips(story, tiny_corpus, tmp_path):
    keys = [f"data={tiny_corpus}", f"runs={tmp_path}", "name=b", "steps=6", "validate_every=100", "workers=0"]
    ranks = Ranks(2, tmp_path / "log", *keys, "most_skipped=1", prepare=partial(watch, tmp_path, story["poison"], None))
    assert ranks.wait() == [2, 2]
    message = f"1 steps in a row gave no finite gradient, the last was step {POISONED_STEP}; clips: {story['poison']};"
    assert (tmp_path / "log").read_text().count(message) == 1


def test_kill_and_resume_ends_in_the_same_weights(tiny_corpus, tmp_path):
    assert kill_resume.kill_and_compare(tmp_path, tiny_corpus, times=1, seed=2) == 1


def test_no_rank_leaves_the_group_while_ddp_holds_it(story):
    assert [(story["folder"] / f"held-{rank}.txt").read_text() for rank in (0, 1)] == ["", ""]


@pytest.mark.skipif(
    not (shutil.which("g++") and shutil.which("ninja")), reason="DeepSpeed on a CPU needs g++ and ninja"
)
def test_zero_gives_the_losses_of_ddp_and_resumes_with_discriminators(tiny_corpus, tmp_path):
    critic = ["variant=with_discriminators", "vocoder=univnet_c16", "vocoder.channels=4", "batch_size=2"]
    assert zero.compare(tmp_path, ["ddp", "zero2"], 2, [f"data={tiny_corpus}", "validate_clips=1", *critic])
