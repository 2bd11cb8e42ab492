"""kill -9 of all ranks at random instants, half of them inside a checkpoint; every run must end as if nothing was.

``python tests/stress/kill_resume.py --times 20`` trains once in peace, then ``times`` runs that are killed once and
started again, each with 2 processes of 2 loader workers. Prints ``N of N identical`` last; exit status 0 only then.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
os.environ["OMP_NUM_THREADS"] = "1"

from ranks import Ranks, differences, generated_corpus  # noqa: E402

STEPS, VALIDATE_EVERY = 12, 3


class Run:
    def __init__(self, path: Path, data: Path):
        self.path = path
        keys = [f"data={data}", f"runs={path.parent}", f"name={path.name}", "workers=2"]
        self.keys = [*keys, f"steps={STEPS}", f"validate_every={VALIDATE_EVERY}"]

    def start(self, prepare=None) -> Ranks:
        return Ranks(2, self.path.with_suffix(".log"), *self.keys, prepare=prepare)

    @property
    def step(self) -> int:
        """The last step in the log, 0 before the first."""
        try:
            return int((self.path / "metrics.jsonl").read_text().rsplit('{"step": ', 1)[1].split(",")[0])
        except (OSError, IndexError, ValueError):
            return 0

    @property
    def saving(self) -> bool:
        return any((self.path / "checkpoints").glob(".step-*.tmp"))


def slow_disk(_rank: int) -> None:
    """A checkpoint takes a moment, so that random instants fall into every part of it."""
    from slts.training import checkpoint

    sync = checkpoint._sync
    checkpoint._sync = lambda path: (time.sleep(0.03), sync(path))


def kill_once(run: Run, instant: random.Random) -> tuple[bool, str]:
    """Starts a run and kills all its processes. Returns whether they were still training, and where they stood."""
    ranks = run.start(slow_disk)
    wanted, inside = instant.randrange(STEPS), instant.random() < 0.5
    if inside:
        wanted = wanted // VALIDATE_EVERY * VALIDATE_EVERY
    while ranks.alive and not (run.step >= wanted and (run.saving or not inside)):
        time.sleep(0.001)
    time.sleep(instant.uniform(0, 0.3))
    saving, training = run.saving, ranks.alive
    ranks.kill()
    return training, f"killed at step {run.step}" + (", inside a checkpoint" if saving else "")


def kill_and_compare(folder: Path, data: Path, times: int, seed: int) -> int:
    """How many of ``times`` killed runs ended bit-identical to one in peace."""
    same, instant = 0, random.Random(seed)
    peaceful = Run(folder / "peaceful", data)
    peaceful.start().finish()
    for number in range(times):
        run = Run(folder / f"run-{number}", data)
        training, where = kill_once(run, instant)
        left = os.readlink(run.path / "last").rpartition("-")[2] if (run.path / "last").is_symlink() else "none"
        run.start().finish()
        changed = differences(peaceful.path, run.path)
        same += training and not changed
        shown = "identical" if not changed else f"differs in {len(changed)}, first {changed[0]}"
        print(f"{number + 1:3d}: {where}, checkpoint {left}: {shown if training else 'ENDED before'}", flush=True)
        shutil.rmtree(run.path)
    print(f"{same} of {times} identical", flush=True)
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--data", type=Path, help="shards; generated when not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or generated_corpus(Path(folder) / "data")
        return 0 if kill_and_compare(Path(folder), data, given.times, given.seed) == given.times else 1


if __name__ == "__main__":
    sys.exit(main())
