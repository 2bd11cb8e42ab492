"""What cannot be written besides checkpoints ends training after saving, in one line; the same command goes on."""

import errno
import importlib
import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from ranks import Ranks

pytestmark = pytest.mark.long

WHERE = {
    "pictures": ("slts.evaluation.figures", "write_whole"),
    "sounds": ("slts.data.media.sound", "write_whole"),
    "figures": ("slts.training.metrics_log", "append_rows"),
}
"""What is written -> module and name of the function that writes it."""


def fill(what: str, rank: int) -> None:
    """From now on the disk is full for ``what``."""

    def full(file: Path, *_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    module, name = WHERE[what]
    setattr(importlib.import_module(module), name, full)


def values(run: Path) -> set[tuple[int, str]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {(row["step"], row["name"]) for row in rows}


@pytest.mark.parametrize(("what", "ranks", "saved"), [("pictures", 1, 2), ("sounds", 2, 2), ("figures", 1, 1)])
def test_the_checkpoint_comes_first(what, ranks, saved, tiny_corpus, tmp_path):
    """Pictures and sounds are made at the validation of step 2, figures logged from step 1 on."""
    keys = [f"data={tiny_corpus}", f"runs={tmp_path}", "name=a", "steps=4", "validate_every=2", "workers=0"]
    statuses = Ranks(ranks, tmp_path / "log", *keys, prepare=partial(fill, what)).wait()
    said = (tmp_path / "log").read_text()
    assert statuses == [2] * ranks, said
    [line] = [line for line in said.splitlines() if line.startswith("slts train: ")]
    assert "the disk is full" in line and "free space there" in line and line.endswith(f"step {saved} is saved")
    assert "Traceback" not in said
    run = tmp_path / "a"
    assert (run / "last").resolve().name == f"step-{saved:08d}" and (run / "last" / "state.json").exists()
    if what != "figures":
        assert {"val/a_stoi"} <= {name for step, name in values(run) if step == 2}
        assert not list((run / "samples").rglob("*.tmp*"))
    Ranks(ranks, tmp_path / "log2", *keys).finish()
    assert (run / "last").resolve().name == "step-00000004" and (4, "val/a_stoi") in values(run)
    assert len(list((run / "samples" / "step-00000004").glob("*.wav"))) == 4 // ranks  # of the first rank


def test_garbage_in_the_log_stops_no_resume(tiny_corpus, tmp_path):
    keys = [f"data={tiny_corpus}", f"runs={tmp_path}", "name=a", "validate_every=2", "workers=0"]
    Ranks(1, tmp_path / "log", *keys, "steps=2").finish()
    run = tmp_path / "a"
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'\xff\xfe garbage\n{"step": "two", "name": 3}\n{"step": 2, "name": "loss/to')
    # More steps are another configuration; the last checkpoint is lost instead.
    shutil.rmtree(run / "checkpoints")
    (run / "last").unlink()
    (run / "best").unlink()
    said = Ranks(1, tmp_path / "log2", *keys, "steps=2").finish()
    lines = [line for line in said.splitlines() if "metrics.jsonl" in line]
    assert len(lines) == 2 and "half written" in lines[0] and "no JSON object, and 1 more such" in lines[1], said
    rows = [line for line in (run / "metrics.jsonl").read_bytes().splitlines() if line.endswith(b"}")]
    assert json.loads(rows[-1])["step"] == 2 and b"loss/to{" not in (run / "metrics.jsonl").read_bytes()
