"""Jobs as tasks of a SLURM array, sent and watched by submitit, in place of the processes of this machine.

Where tasks run is said as ever to ``sbatch``, by its own variables: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_QOS,
SBATCH_TIMELIMIT, SBATCH_MEM_PER_CPU and so on. What is given to them and what they give back lies meanwhile in a folder
of ``$SLTS_CACHE/slurm`` (~/.cache/slts/slurm); all nodes must see it, and Python and slts where they are here. As
submitit loads it by pickle, which executes what it is told, nobody else may be able to put a file in its place.
"""

import importlib.util
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from slts.data.nodes import Died, Failure, Place, after_a_death, at_work, run_on
from slts.errors import UserError
from slts.folders import cache_folder

AT_ONCE = 64
"""Tasks at once, unless ``workers`` says it."""
ROUNDS = 4
"""Tasks a place: so many that none waits long for the last, and that starting Python costs little."""
LARGEST = 1000
"""Tasks that an array may have where SLURM's MaxArraySize is what it usually is."""
MINUTES = 240
"""For a task, unless SBATCH_TIMELIMIT says it; one whose time ends is put into the queue again."""
POLL = 1.0
"""Seconds after which it is looked again for what is done."""


@dataclass(frozen=True)
class Slurm:
    """The SLURM cluster of this machine; see slts.data.engine.Engine."""

    shared: tuple[Path, ...] = ()
    """Files and folders that every node must see as this machine does."""
    workers: int | None = None

    def join(self) -> None:
        """Raises UserError where submitit is not installed, SLURM is not here, takes no job or keeps no accounts, or
        where others could change what tasks load."""
        if importlib.util.find_spec("submitit") is None:
            raise UserError("engine=slurm: submitit is missing; pip install 'slts[cluster]', or leave engine= out")
        if not all(map(shutil.which, ("sbatch", "srun", "sacct", "scancel"))):
            raise UserError("engine=slurm: no sbatch here; give the command on a machine of the cluster that has it")
        _own_folder()
        tried = subprocess.run(["sbatch", "--test-only", "--wrap", "true"], capture_output=True, text=True)
        if tried.returncode:
            raise _refused(tried.stderr)
        told = subprocess.run(["sacct", "--allocations", "--noheader"], capture_output=True, text=True)
        if told.returncode:
            raise UserError(
                f"engine=slurm: sacct does not tell which tasks have died ({_error_of(told.stderr)}); let the cluster"
                " keep accounts, or give parts of the work by launch/slurm/array.sbatch"
            )

    def run(self, function: Callable, jobs: Sequence, advance: Callable[[int], None]) -> Iterator:
        """Raises UserError as ``join``, where a node is not like this machine, or where a job failed there; and OSError
        where a job found the disk full."""
        if not jobs:
            return
        at_once = self.workers or AT_ONCE
        size = ceil(len(jobs) / min(len(jobs), LARGEST, ROUNDS * at_once))
        groups = [Group(tuple(jobs[first : first + size])) for first in range(0, len(jobs), size)]
        tasks = _Tasks(
            partial(_each, function), Place.here(self.shared), at_once, Path(tempfile.mkdtemp(dir=_own_folder()))
        )
        try:
            yield from chain.from_iterable(run_on(tasks, groups, advance))
        except BaseException:
            tasks.cancel()  # its logs stay
            raise
        shutil.rmtree(tasks.folder, ignore_errors=True)


@dataclass(frozen=True)
class Group:
    """The jobs of one task."""

    jobs: tuple

    def after_a_death(self) -> "Group":
        return Group(tuple(map(after_a_death, self.jobs)))


def _each(function: Callable, group: Group, tick: Callable[[], None]) -> list:
    return [function(job, tick) for job in group.jobs]


class _Tasks:
    """See slts.data.nodes.Nodes."""

    name = "slurm"
    at_once = LARGEST
    """SLURM holds back what is too much itself."""

    def __init__(self, function: Callable, place: Place, at_once: int, folder: Path):
        import submitit

        logging.getLogger("submitit").setLevel(logging.ERROR)
        self.function, self.place, self.folder = function, place, folder
        self.executor = submitit.SlurmExecutor(folder)
        told = {"array_parallelism": at_once, "use_srun": False, "stderr_to_stdout": True, "wckey": None}
        self.executor.update_parameters(job_name="slts", time=MINUTES, cpus_per_task=1, **told)
        self.arrays: set[str] = set()

    def give(self, jobs: Sequence) -> list:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            tasks = self.executor.map_array(_Task(self.function, self.place), jobs)
        except (FailedJobError, FailedSubmissionError) as error:
            raise _refused(str(error)) from None
        self.arrays |= {task.job_id.partition("_")[0] for task in tasks}
        return tasks

    def one_done(self, handles: Sequence) -> Any:
        while True:
            for task in handles:
                if task.done():
                    return task
            time.sleep(POLL)

    def outcome(self, handle) -> tuple[Any, int] | Failure:
        from submitit.core.utils import FailedJobError

        error = handle.exception()
        if isinstance(error, FailedJobError):  # it could not even start, or its time ended too often
            reason = str(error).partition("--\n")[2].partition("\n--")[0].rstrip().splitlines()[-1:] or [str(error)]
            raise UserError(f"engine=slurm: a task failed ({reason[0]}); its log: {handle.paths.stdout}")
        if error:
            raise Died(f"the last in state {handle.state}; logs are in {self.folder}")
        return handle.result()

    def cancel(self) -> None:
        if self.arrays:
            subprocess.run(["scancel", *sorted(self.arrays)], capture_output=True)


@dataclass(frozen=True)
class _Task:
    """What a task of the array does. Where its time ends, or somebody else takes its node, it is put into the queue
    again as it is."""

    function: Callable
    place: Place

    def __call__(self, job) -> tuple[Any, int] | Failure:
        return at_work(lambda: (self.function, job), self.place)

    def checkpoint(self, job):
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def _own_folder() -> Path:
    """Where the files of tasks lie. Raises UserError where others than this user and root could change them."""
    folder = cache_folder() / "slurm"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in (folder.resolve(), *folder.resolve().parents):
            facts = place.stat()
            open_to_others = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not facts.st_mode & stat.S_ISVTX
            if open_to_others or facts.st_uid not in (0, os.getuid()):
                raise UserError(
                    f"engine=slurm: others can change {place}, and with it what tasks load from {folder}; chmod go-w,"
                    " or set SLTS_CACHE to a folder of yours alone"
                )
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); set SLTS_CACHE to another folder") from None
    return folder


def _refused(said: str) -> UserError:
    return UserError(f"engine=slurm: sbatch takes no job ({_error_of(said)}); mend its variables SBATCH_...")


def _error_of(said: str) -> str:
    lines = said.strip().splitlines() or ["no reason given"]
    return next((line for line in lines if "error" in line), lines[-1]).strip()
