"""Ctrl-C at random instants of the commands that work in several processes.

    python tests/stress/interrupt.py [--times 4] [--seed 0] [COMMAND ...]

Each command is run whole once, then ``--times`` times, and interrupted as a terminal does, all its processes at once.
It must end within a minute, with the status that a shell calls 130 (or have ended by itself), show no traceback, and
within another minute leave no process. Exit status 0 only if all did.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from metric_clips import speech_like  # noqa: E402

PATIENCE = 60.0
TINY = (
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1",
    "model.frame_width=8", "batch_size=4", "validate_every=10", "validate_clips=3",
)  # fmt: skip
COMMANDS = {
    "prepare": ("prepare", "corpus=synthetic", "clips=24", "shard_clips=2", "workers=2", "out=out/corpus"),
    "verify": ("prepare", "action=verify", "data=corpus", "workers=2"),
    "score": ("score", "reference=sounds", "generated=sounds", "workers=2", "out=out/scores.csv"),
    "offsets": ("offsets", "data=corpus", "workers=2", "out=out/offsets.csv"),
    "train": ("train", "data=corpus", "name=b", "runs=out", "steps=60", *TINY),
    "generate": ("generate", "run=runs/a", "data=corpus", "workers=2", "out=out/corpus"),
    "evaluate": ("evaluate", "run=runs/a", "workers=2"),
}


def start(words: tuple[str, ...], folder: Path) -> subprocess.Popen:
    """``slts`` in a group of processes of its own, which prints into ``folder``/said."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "slts.cli", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a background ignores
        )


def alive(group: int) -> list[psutil.Process]:
    """Its processes."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def fault_of(process: subprocess.Popen, folder: Path) -> str | None:
    """What is wrong with how an interrupted command ended; whatever is left of it is killed."""
    try:
        process.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while (left := alive(process.pid)) and time.monotonic() < until:
            time.sleep(0.1)
        said = (folder / "said").read_text()
        if left:
            return f"left {left}"
        if "Traceback" in said:
            return said
        # Python dies of the signal where it comes at its end, or in source that a library executes.
        well = process.returncode in (0, 130, -signal.SIGINT)
        return None if well else f"status {process.returncode}: {said}"
    except subprocess.TimeoutExpired:
        return "did not end"
    finally:
        for one in alive(process.pid):
            one.kill()


def finish(words: tuple[str, ...], folder: Path) -> None:
    assert start(words, folder).wait() == 0, (folder / "said").read_text()


def make_inputs(names: list[str], folder: Path) -> None:
    if "score" in names:
        (folder / "sounds").mkdir()
        for number in range(24):
            soundfile.write(folder / "sounds" / f"{number}.wav", speech_like(number), 16000)
    if {*names} - {"score", "prepare"}:
        finish(("prepare", "corpus=synthetic", "clips=24", "shard_clips=4", "workers=2", "out=corpus"), folder)
    if {*names} & {"generate", "evaluate"}:
        finish(("train", "data=corpus", "name=a", "steps=10", *TINY), folder)


def interrupt(names: list[str], times: int, seed: int, folder: Path) -> int:
    """Prints and counts the faults."""
    rng = random.Random(seed)
    make_inputs(names, folder)
    faults = 0
    for name in names:
        began = time.monotonic()
        finish(COMMANDS[name], folder)
        whole = time.monotonic() - began
        for _ in range(times):
            process = start(COMMANDS[name], folder)
            instant = rng.uniform(0.2, whole)  # Python itself is up after 0.2 s
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(instant)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            fault = fault_of(process, folder)
            faults += fault is not None
            print(f"{name} after {instant:.2f} of {whole:.2f} s: {fault or 'well'}", flush=True)
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; default is all")
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if unknown := set(given.commands) - set(COMMANDS):
        parser.error(f"no command {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        faults = interrupt(given.commands or list(COMMANDS), given.times, given.seed, Path(folder))
    print(f"{faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
