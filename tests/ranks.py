"""Small trainings of several processes, forked.

What torchrun would set is set here; launches by ``accelerate launch`` itself are in tests/end_to_end.
"""

import faulthandler
import gc
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from forked import FORKED, ROOT, status
from safetensors.numpy import load_file

SMALL = (
    "tracking=none", "batch_size=4", "validate_clips=2", "log_every=1", "deterministic=true", "precision=fp32",
)  # fmt: skip
TINY = (
    "experiment=cpu", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8", *SMALL,
)  # fmt: skip


class Ranks:
    """``slts train``, or another ``verb``, on ``count`` forked processes; what they print goes to ``log``.

    ``variables`` join their environment, ``prepare(rank)`` is called in each before it begins; ``common`` are keys
    before the others, TINY for systems with the networks of SLTS, SMALL for any.
    """

    def __init__(
        self,
        count: int,
        log: Path,
        *keys: str,
        prepare: Callable[[int], None] | None = None,
        common: tuple[str, ...] = TINY,
        verb: str = "train",
        **variables,
    ):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.log = log
        self.processes = []
        for rank in range(count):
            where = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
            }
            where |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {**(where if count > 1 else {}), **variables}
            process = FORKED.Process(target=_rank, args=(rank, log, environment, verb, [*common, *keys], prepare))
            process.start()
            self.processes.append(process)

    @property
    def alive(self) -> bool:
        return any(process.is_alive() for process in self.processes)

    def wait(self) -> list[int]:
        """Exit statuses, rank by rank."""
        return [status(process) for process in self.processes]

    def kill(self) -> None:
        """kill -9 of all ranks and their loader processes."""
        ranks = [psutil.Process(process.pid) for process in self.processes if process.is_alive()]
        for one in ranks + [worker for rank in ranks for worker in rank.children(recursive=True)]:
            if one.is_running():
                one.send_signal(signal.SIGKILL)
        self.wait()

    def finish(self) -> str:
        """Waits for a good end; what was printed."""
        statuses = self.wait()
        assert not any(statuses), f"{statuses}\n{self.log.read_text()[-4000:]}"
        return self.log.read_text()


def _rank(rank: int, log: Path, environment: dict[str, str], verb: str, keys: list[str], prepare) -> None:
    from slts.cli import run

    gc.freeze()
    multiprocessing.set_start_method("fork", force=True)  # for loader processes, as where a rank was not forked itself
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ.update(environment)
    faulthandler.enable()
    if prepare:
        prepare(rank)
    sys.exit(run(verb, keys))


def evaluation_is_shared(run: Path, *keys: str) -> None:
    """Asserts that two processes leave the row and the table of clips that one leaves."""
    left = []
    for count in (1, 2):
        Ranks(
            count, run / "evaluation.log", f"run={run}", "show=0", "workers=1", *keys, common=(), verb="evaluate"
        ).finish()
        row = json.loads((run / "results.jsonl").read_text().splitlines()[-1])
        left.append((row | {"scored_at": None}, (run / "clips-test.csv").read_bytes()))
    assert left[0] == left[1] and left[0][0]["clips"] > 1


def generated_corpus(folder: Path, clips: int = 24) -> Path:
    """Shards made by ``slts prepare``."""
    command = [sys.executable, "-m", "slts.cli", "prepare", "corpus=synthetic", "profile=lagged", f"clips={clips}"]
    given = ["val=0.15", "test=0.1", "workers=1", f"out={folder}"]
    subprocess.run([*command, *given], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


def differences(run: Path, other: Path) -> list[str]:
    """Names of what is not bit-identical in the last checkpoints of two runs: weights, optimiser, every rank's RNG."""
    found = []
    names = {file.name for at in (run, other) for file in (at / "last").glob("*.safetensors")}
    for name in sorted(names):
        one, two = load_file(run / "last" / name), load_file(other / "last" / name)
        found += [f"{name}: {key}" for key in one.keys() ^ two.keys()]
        found += [f"{name}: {key}" for key in one.keys() & two.keys() if one[key].tobytes() != two[key].tobytes()]
    return found
