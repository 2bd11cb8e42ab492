"""slts prepare, killed again and again at random instants, against a run that nothing interrupts.

    python tests/stress/kill_prepare.py [--times 10] [--clips 24] [--seed 0]

One folder is prepared in peace. A second one is prepared by the same command, whose main process or one of whose
workers is killed with SIGKILL at a random instant, ``--times`` times; then the command runs to its end. After every
kill, each finished shard must have the hash of its twin; at the end every file must. Exit status 0 only then.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 0.001
"""Chance every 50 ms not to wait for the next shard, so that kills also fall into the start."""
ROOT = Path(__file__).resolve().parents[2]


def command(out: Path, clips: int) -> list[str]:
    corpus = ["corpus=synthetic", "profile=lagged", f"clips={clips}", "val=0.1", "test=0.1"]
    return [sys.executable, "-m", "slts.cli", "prepare", *corpus, "shard_clips=3", "workers=2", f"out={out}"]


def start(out: Path, clips: int) -> subprocess.Popen:
    return subprocess.Popen(
        command(out, clips),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def hashes(out: Path, pattern: str = "*") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob(pattern))}


def children(process: subprocess.Popen) -> list[int]:
    """Processes that ``process`` started, from /proc; none where there is no /proc."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []


def kill_and_compare(times: int, clips: int, seed: int, folder: Path) -> int:
    """Returns how many of ``times`` kills left only shards that are identical to the uninterrupted run's."""
    rng = random.Random(seed)
    calm, rough = folder / "calm", folder / "rough"
    began = time.monotonic()
    assert start(calm, clips).wait() == 0, "the uninterrupted run failed"
    duration = time.monotonic() - began
    expected = hashes(calm, "*.tar")
    kills = identical = 0
    while kills < times:
        there = hashes(rough, "*.tar") if rough.exists() else {}
        if len(there) == len(expected):  # start over, so that every kill meets work
            shutil.rmtree(rough)
            there = {}
        process = start(rough, clips)
        wanted = len(there) + rng.randrange(1, 3)
        while len(list(rough.glob("*.tar"))) < wanted and process.poll() is None and rng.random() > PATIENCE:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, duration / len(expected)))
        workers = children(process)
        victim = rng.choice(workers) if workers and rng.random() < 0.5 else process.pid
        alive = process.poll() is None
        if alive:
            os.kill(victim, signal.SIGKILL)
        process.wait()
        if not alive:
            continue
        kills += 1
        there = hashes(rough, "*.tar")
        same = there.items() <= expected.items()
        identical += same
        who = "main process" if victim == process.pid else "a worker"
        print(f"kill {kills}: {who}, {len(there)} of {len(expected)} shards there, same: {same}", flush=True)
    finished = start(rough, clips).wait() == 0 and hashes(rough) == hashes(calm)
    print(f"the run after the last kill: {'every file identical' if finished else 'DIFFERENT'}")
    return identical if finished else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("times", 10), ("clips", 24), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        identical = kill_and_compare(given.times, given.clips, given.seed, Path(folder))
    print(f"{identical} of {given.times} identical")
    return int(identical != given.times)


if __name__ == "__main__":
    sys.exit(main())
