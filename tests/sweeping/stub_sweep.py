"""Studies whose trainings are stubs, and their workers, forked so that they start at once."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
import yaml
from forked import FORKED, status

from slts.sweeping.process import holder
from slts.sweeping.storage import open_storage

STUB = Path(__file__).with_name("stub_training.py")
SPACE = {"task.temperature": {"log": [0.1, 10.0]}}


class Worker:
    """``slts sweep key=value ...`` in a forked process; what it prints goes to ``log``."""

    def __init__(self, log: Path, *keys: str):
        self.log = log
        self.process = FORKED.Process(target=_worker, args=(log, keys))
        self.process.start()

    def end(self) -> int:
        """Its exit status."""
        return status(self.process)

    def finish(self) -> str:
        assert self.end() == 0, self.log.read_text()[-4000:]
        return self.log.read_text()

    def tree(self) -> list[psutil.Process]:
        """The worker and all it started: leash, training."""
        worker = psutil.Process(self.process.pid)
        return [worker, *worker.children(recursive=True)]

    def trains(self, run: Path) -> bool:
        """Whether the training that holds a run directory is this worker's."""
        return any(str(holder(run)).startswith(f"process {process.pid} ") for process in self.tree()[1:])


def _worker(log: Path, keys: tuple[str, ...]) -> None:
    from slts.cli import run
    from slts.sweeping import worker

    worker.POLL = 0.05
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(run("sweep", list(keys)))


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


class Sweep:
    """A study whose trainings are stubs, in a folder of its own; ``changes`` go into its file."""

    def __init__(self, folder: Path, corpus: Path, **changes):
        self.folder, self.runs = folder, folder / "stubs"
        file = folder / "stubs.yaml"
        given = {"space": SPACE, "overrides": ["experiment=cpu", "steps=6", "validate_every=2", "task.radius=12"]}
        file.write_text(yaml.safe_dump({**given, **changes}))
        self.storage = f"sqlite:///{folder}/sweeps.db"
        self.keys = [f"study={file}", f"data={corpus}", f"runs={folder}", "heartbeat_seconds=1", "grace_seconds=20"]
        self.keys += [f"launch={sys.executable}", f"launch_options=[{STUB}]"]
        self.workers = 0

    def start(self, *keys: str) -> Worker:
        self.workers += 1
        return Worker(self.folder / f"worker-{self.workers}.log", *self.keys, f'storage="{self.storage}"', *keys)

    @property
    def study(self) -> optuna.Study:
        return optuna.load_study(study_name="stubs", storage=open_storage(self.storage, 1, print))

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return self.study.trials

    def starts(self, run: str) -> list[str]:
        """The steps from which a run was begun."""
        return (self.runs / run / "starts").read_text().split()
