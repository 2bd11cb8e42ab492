"""Jobs on machines beside this one: what each must be like, what a job gives there, and what is done about deaths.

A job takes one core and has one thread, and no GPU. It is given anew where its process or node died, so that a second
start must do no harm. Before each job its node is held against the machine that gave the command: by the versions that
shape the bytes of shards, by the codecs of PyAV, and by whether it sees the same files.
"""

import hashlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import av

from slts.data.assembly import versions
from slts.data.parallel import one_thread
from slts.errors import FULL, UserError, disk_fault

RETRIES = 5
"""Times that a job is given anew after its node or process died."""
HEAD = 1 << 16
"""Bytes of a shared file that are compared."""


class Died(Exception):
    """A job whose process is gone."""


class Nodes(Protocol):
    """Where jobs are given to."""

    name: str
    """As the key ``engine`` has it."""
    at_once: int
    """Jobs that may be there at once."""

    def give(self, jobs: Sequence) -> list[Any]:
        """A handle of each job."""
        ...

    def one_done(self, handles: Sequence[Any]) -> Any:
        """One whose job has ended. Raises UserError if none ever will."""
        ...

    def outcome(self, handle: Any) -> "tuple[Any, int] | Failure":
        """Of a job that has ended: its result and the number of its items. Raises Died."""
        ...


def run_on(nodes: Nodes, jobs: Sequence, advance: Callable[[int], None]) -> Iterator:
    """As ``slts.data.engine.Engine.run``, of which ``advance`` is told of the items of a job once it is done, so that
    what died with a node does not count."""
    left, results, deaths = iter(enumerate(jobs)), {}, Counter()
    running: dict[Any, int] = {}
    for turn in range(len(jobs)):
        while turn not in results:
            fresh = list(islice(left, nodes.at_once - len(running)))
            if fresh:
                running |= zip(nodes.give([job for _, job in fresh]), (number for number, _ in fresh), strict=True)
            handle = nodes.one_done(list(running))
            number = running.pop(handle)
            try:
                outcome = nodes.outcome(handle)
            except Died as death:
                deaths[number] += 1
                if deaths[number] > RETRIES:
                    raise UserError(f"engine={nodes.name}: a job died {RETRIES + 1} times, {death}") from None
                [again] = nodes.give([after_a_death(jobs[number])])
                running[again] = number
                continue
            if isinstance(outcome, Failure):
                raise outcome.error(nodes.name)
            results[number], items = outcome
            advance(items)
        yield results.pop(turn)


def after_a_death(job):
    """What is run in place of a job whose process died: the same, unless it has an ``after_a_death()`` of its own."""
    return job.after_a_death() if hasattr(job, "after_a_death") else job


@dataclass(frozen=True)
class Place:
    """What a job must find on its node: that of the machine that gave the command."""

    folder: str
    """Relative paths are from here."""
    versions: dict[str, str]
    codecs: frozenset[str]
    """Of PyAV."""
    shared: dict[Path, str | None]

    @classmethod
    def here(cls, shared: Sequence[Path]) -> "Place":
        """Of this machine. ``shared`` are files and folders that every node must see as it does."""
        return cls(os.getcwd(), versions(), frozenset(av.codecs_available), {path: _sign(path) for path in shared})

    def differs(self) -> str | None:
        """How this node is other, and what to do about it; None if it is not. Moves to the folder if it is there."""
        if others := [f"{name} {own}" for name, own in versions().items() if own != self.versions.get(name)]:
            wanted = ", ".join(f"{name} {self.versions.get(name)}" for name in (one.split()[0] for one in others))
            return f"it has {', '.join(others)} and not {wanted}; install the same on every node"
        if missing := sorted(self.codecs - av.codecs_available):
            some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            return f"its PyAV has no codec {some}; install the same build of av on every node"
        with suppress(OSError):
            os.chdir(self.folder)
        for path, sign in self.shared.items():
            if _sign(path) != sign:
                return f"it does not see {path} as this machine does; every node must share that folder"
        return None


@dataclass(frozen=True)
class Failure:
    """Why a job gave nothing."""

    node: str
    reason: str
    errno: int | None = None

    def error(self, engine: str) -> Exception:
        if self.errno in FULL:
            return OSError(self.errno, self.reason)
        return UserError(f"engine={engine}, node {self.node}: {self.reason}")


def at_work(load: Callable[[], tuple[Callable, Any]], place: Place) -> tuple[Any, int] | Failure:
    """On a node: the result of a job and the number of its items. ``load`` gives the function and the job; the node is
    looked at before anything of them is loaded."""
    node = socket.gethostname()
    if difference := place.differs():
        return Failure(node, difference)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # not all nodes have GPUs, and those compute other bytes
    one_thread()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    try:
        function, job = load()
        return function(job, tick), ticks
    except UserError as error:
        return Failure(node, str(error))
    except OSError as error:
        return Failure(node, str(disk_fault(error) or error), error.errno)
    except Exception as error:
        return Failure(node, f"{type(error).__name__}: {error}; engine=local would give the traceback")


def _sign(path: Path) -> str | None:
    """What tells a file from another of its name; None where there is none."""
    if path.is_dir():
        return "folder"
    with suppress(OSError), path.open("rb") as file:
        return hashlib.sha256(file.read(HEAD)).hexdigest()
    return None
