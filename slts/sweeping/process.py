"""The commands of a trial: processes on a leash, their log, and what the run directory tells of the training."""

import contextlib
import fcntl
import math
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from slts.sweeping.space import override
from slts.training.metrics_log import read_metrics
from slts.training.run_directory import LOCK

TRAIN = Path(__file__).parents[1] / "train.py"
LEASH = Path(__file__).with_name("leash.py")
REFUSED = re.compile(r"slts (?:train|evaluate): (?P<why>.+)")
"""The line on which slts says why it ended."""
HOLDER = re.compile(r"process (?P<pid>\d+) on (?P<host>.+)")


def command(launch: str | None, options: list[str], overrides: list[str]) -> list[str]:
    """``slts train`` in words: one process, under ``accelerate launch`` with a config, or behind another program."""
    if launch is None:
        before = [sys.executable]
    elif launch.endswith((".yaml", ".yml")):
        # Port 0: several workers of one machine do not meet on the same.
        before = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--config_file",
            launch,
            "--main_process_port",
            "0",
        ]
    else:
        before = [launch]
    return [*before, *options, str(TRAIN), *overrides]


def scoring(run: Path, overrides: tuple[str, ...]) -> list[str]:
    """``slts evaluate`` of a run in words."""
    return [sys.executable, "-m", "slts.cli", "evaluate", override("run", str(run)), *overrides]


class Leashed:
    """A running command. It ends (a training, saved) when ``end`` is called, and when this process dies anyhow."""

    def __init__(self, words: list[str], log: Path, grace: float):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self.begin = log, log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.leash = subprocess.Popen(
                [sys.executable, "-P", str(LEASH), str(grace), *words],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """None while it runs; its exit status, 128 + n after signal n."""
        code = self.leash.poll()
        return code if code is None or code >= 0 else 128 - code

    def end(self) -> None:
        """Has it save and end, and waits for that; leaves no process behind."""
        assert self.leash.stdin is not None
        self.leash.stdin.close()
        self.leash.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.leash.pid, signal.SIGKILL)  # somebody is left only if the leash itself was killed

    @property
    def last_words(self) -> str:
        """The reason that slts gave, or the last line of the log."""
        with self.log.open("rb") as file:
            file.seek(self.begin)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        refusals = [found["why"] for line in lines if (found := REFUSED.match(line))]
        return (refusals or lines or ["nothing in its log"])[-1]


def validations(run: Path) -> dict[int, dict[str, float]]:
    """Step -> finite figures of the validation after it, by name (``val/...``), as far as metrics.jsonl has them."""
    try:
        rows = read_metrics(run / "metrics.jsonl")
    except OSError:
        return {}
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        if row["name"].startswith("val/") and not isinstance(row["value"], str) and math.isfinite(row["value"]):
            found.setdefault(row["step"], {})[row["name"]] = row["value"]
    return found


def holder(run: Path) -> str | None:
    """Who trains in this run directory right now: ``process PID on HOST``; None if nobody does."""
    try:
        with (run / LOCK).open("r+") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return lock.read() or "a process that just started"
    except FileNotFoundError:
        pass
    return None


def kill_holder(name: str) -> None:
    """Kills a training that outlived its worker and its leash, if it runs on this machine."""
    who = HOLDER.fullmatch(name)
    if who and who["host"] == socket.gethostname():
        os.kill(int(who["pid"]), signal.SIGKILL)
