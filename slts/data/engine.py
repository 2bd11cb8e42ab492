"""Where a command's jobs run: in processes of this machine, on the nodes of a Ray cluster, or as tasks of SLURM.

A command cuts its work into jobs, hands them to ``run_jobs`` with a function of one job, and gets the results in the
order of the jobs, whoever did them. It takes the keys workers, engine and address for that, and part for a share of the
jobs on a machine of its own.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from slts.data.parallel import Processes
from slts.data.ray_cluster import RayCluster
from slts.data.slurm import Slurm
from slts.errors import UserError

T = TypeVar("T")


class Engine(Protocol):
    """What runs jobs."""

    workers: int | None
    """Jobs at once, each with one thread; 0 is one a core. None is one at a time with the threads of this process.
    Of a cluster either is as many as it has cores, of SLURM slts.data.slurm.AT_ONCE."""

    def run(self, function: Callable, jobs: Sequence, advance: Callable[[int], None]) -> Iterator:
        """``function(job, tick)`` of every job, as results in the order of the jobs, each as soon as it is there.

        Args:
            function: of a module; calls ``tick()`` after every item of its job. May run again where a node died.
            jobs: picklable. One may have ``after_a_death()``, what to run in its place where a node's process died of
                it.
            advance: is told of items that are done.

        Raises:
            UserError: of a job, or why jobs cannot run there. OSError: a disk is full.
        """
        ...


def engine_of(config, *shared: Path) -> Engine:
    """What the keys ``engine``, ``address`` and ``workers`` say. ``shared`` are files and folders that every node must
    see as this machine does. Raises UserError, also where there is no such cluster."""
    if config.address is not None and config.engine != "ray":
        raise UserError(
            f"address={config.address} is of a Ray cluster, and engine={config.engine} knows none; give engine=ray"
        )
    if config.engine == "local":
        return Processes(config.workers)
    ray = config.engine == "ray"
    cluster = RayCluster(config.address, shared, config.workers) if ray else Slurm(shared, config.workers)
    cluster.join()  # before anything is written
    return cluster


def run_jobs(engine: Engine, function: Callable, jobs: Sequence, title: str, items: int, done: int = 0) -> Iterator:
    """What ``engine.run`` gives, with a bar on standard error if that is a terminal: ``items`` are those of all jobs
    and of the ``done`` before them."""
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    look = {"console": console, "disable": not console.is_terminal, "redirect_stdout": sys.stdout.isatty()}
    with Progress(*columns, **look) as progress:
        bar = progress.add_task("", total=items, completed=done)
        yield from engine.run(function, jobs, partial(progress.advance, bar))


def part_of(jobs: Sequence[T], part: str | None) -> Sequence[T]:
    """The jobs of NUMBER/PARTS, counted from 0; None is all. Raises UserError for what is no part."""
    if part is None:
        return jobs
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if number >= parts:
        raise UserError(f"part={part}: must be NUMBER/PARTS counted from 0, 0/2 or 1/2 for the halves of the work")
    return jobs[number::parts]
