"""kill -9 of all ranks at random instants, half of them inside a checkpoint; every run must end as if nothing was.

``python tests/stress/kill_resume.py --times 20`` trains once in peace, then ``times`` runs that are killed once and
started again, each with 2 processes of 2 loader workers. Prints ``N of N identical`` last; exit status 0 only then.
"""

import argparse
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
from launched import ROOT, command, differences, environment, generated_corpus

STEPS, VALIDATE_EVERY = 12, 3


class Run:
    def __init__(self, path: Path, data: Path):
        self.path, self.log = path, path.with_suffix(".log")
        keys = [f"data={data}", f"runs={path.parent}", f"name={path.name}", "workers=2"]
        self.command = command("two_cpus", 2, *keys, f"steps={STEPS}", f"validate_every={VALIDATE_EVERY}")

    def start(self) -> subprocess.Popen:
        with self.log.open("a") as log:
            return subprocess.Popen(self.command, cwd=ROOT, env=environment(), stdout=log, stderr=log)

    def finish(self) -> None:
        if self.start().wait():
            sys.exit(f"{self.path.name} failed:\n{self.log.read_text()[-4000:]}")

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


def kill_once(run: Run, instant: random.Random) -> str:
    """Starts a run, kills everything it started, and says where that was."""
    process = run.start()
    wanted, inside = instant.randrange(STEPS), instant.random() < 0.5
    wait_for(process, lambda: run.step >= wanted)
    if inside:
        wait_for(process, lambda: run.saving)
        time.sleep(instant.uniform(0, 0.02))
    else:
        time.sleep(instant.uniform(0, 0.5))
    saving = run.saving
    alive = process.poll() is None
    if alive:
        # All of them: torchrun gives every rank a session of its own.
        launcher = psutil.Process(process.pid)
        for one in [launcher, *launcher.children(recursive=True)]:
            one.send_signal(signal.SIGKILL)
    process.wait()
    step = run.step
    return f"{'killed' if alive else 'ENDED'} at step {step}" + (", inside a checkpoint" if saving else "")


def wait_for(process: subprocess.Popen, condition) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.001)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--data", type=Path, help="shards; made by slts prepare when not given")
    given = parser.parse_args()
    same, instant = 0, random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or generated_corpus(Path(folder) / "data")
        peaceful = Run(Path(folder) / "peaceful", data)
        peaceful.finish()
        for number in range(given.times):
            run = Run(Path(folder) / f"run-{number}", data)
            where = kill_once(run, instant)
            left = os.readlink(run.path / "last").rpartition("-")[2] if (run.path / "last").is_symlink() else "none"
            run.finish()
            changed = differences(peaceful.path, run.path)
            same += not changed and where.startswith("killed")
            shown = "identical" if not changed else f"differs in {len(changed)}, first {changed[0]}"
            print(f"{number + 1:3d}: {where}, checkpoint {left}: {shown}", flush=True)
            shutil.rmtree(run.path)
    print(f"{same} of {given.times} identical")
    return 0 if same == given.times else 1


if __name__ == "__main__":
    sys.exit(main())
