"""Jobs on the nodes of a Ray cluster, in place of the processes of one machine (slts.data.parallel).

A job takes one core and has one thread. Ray starts it anew where its node dies, so that a second start must do no harm.
Before each job its node is held against the machine that gave the command: by the versions that shape the bytes of
shards, and by whether it sees the same files.
"""

import errno
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from slts.data.assembly import versions
from slts.data.parallel import one_thread
from slts.errors import UserError

RETRIES = 5
"""Times that a job is started anew after its node or process died."""
WAITING = 4096
"""Jobs handed to Ray at once."""
HEAD = 1 << 16
"""Bytes of a shared file that are compared."""
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that jobs run on."""

    address: str | None
    """HOST:PORT of its head; None is what this process is connected to, RAY_ADDRESS, or the cluster of this
    machine, which is started if need be."""
    shared: tuple[Path, ...] = ()
    """Files and folders that every node must see as this machine does."""

    @classmethod
    def of(cls, config, *shared: Path) -> "Cluster | None":
        """What ``engine`` and ``address`` of a config say; None is this machine alone. Raises UserError."""
        if config.engine == "ray":
            return cls(config.address, shared)
        if config.address is not None:
            raise UserError(f"address={config.address} is of a cluster, and engine=local knows none; give engine=ray")
        return None

    def run(self, function: Callable, jobs: Sequence, workers: int, advance: Callable[[int], None]) -> list:
        """As ``slts.data.parallel.run_jobs``: ``workers`` jobs at once, 0 is one a core of the cluster. ``advance``
        gets the items of a job once it is done, so that what died with a node does not count.

        Raises:
            UserError: Ray is not installed, no cluster is at the address, a node is not like this machine, or a job
                failed there.
            OSError: a job found the disk full.
        """
        here = Place(os.getcwd(), versions(), {path: _sign(path) for path in self.shared})
        with _connected(self.address) as ray:
            call = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
            results, running = [None] * len(jobs), {}
            for number, job in enumerate(jobs):
                if len(running) == (workers or WAITING):
                    _collect(ray, running, results, advance)
                running[call.remote(function, job, here)] = number
            while running:
                _collect(ray, running, results, advance)
            return results


def _collect(ray, running: dict, results: list, advance: Callable[[int], None]) -> None:
    """Wait for one of the ``running`` jobs, and move what it gave to the results."""
    (reference,), _ = ray.wait(list(running), num_returns=1)
    try:
        outcome = ray.get(reference)
    except ray.exceptions.OutOfMemoryError:
        raise UserError("engine=ray: a node has too little memory for a job; give it fewer cores (num-cpus)") from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
        raise UserError(
            f"engine=ray: a job died {RETRIES + 1} times, with its node or its process; see ray's logs"
        ) from None
    except ray.exceptions.RayError as error:  # it could not even start
        reason = str(error).rstrip().splitlines()[-1]
        raise UserError(f"engine=ray: a node could not start a job ({reason}); install the same slts on each") from None
    if isinstance(outcome, Failure):
        raise outcome.error()
    results[running.pop(reference)], items = outcome
    advance(items)


@contextmanager
def _connected(address: str | None) -> Iterator:
    """The module ``ray``, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to nobody
    try:
        import ray  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        raise UserError("engine=ray: Ray is not installed; pip install 'slts[cluster]', or leave engine= out") from None
    if address is None and ray.is_initialized():  # by the program that calls
        yield ray
        return
    given = f"address={address or os.environ.get('RAY_ADDRESS')}"
    _refuse_silence(address or os.environ.get("RAY_ADDRESS"), given)
    try:
        ray.init(
            address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        raise UserError(
            f"{given}: Ray cannot join the cluster from this machine ({said}); it must be a node of it, with the same"
            " versions of Ray and Python, and where `ray start` says that tokens are enabled with RAY_AUTH_MODE=token"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _refuse_silence(address: str | None, given: str) -> None:
    """Refuses an address at which nobody listens, for which Ray would wait long. Raises UserError."""
    if address in (None, "auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UserError(f"{given}: not of the form HOST:PORT, as `ray start --head` prints it (6379 is its usual port)")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(
            f"{given}: no cluster there ({said}); start one with ray start --head, or mend the address"
        ) from None


@dataclass(frozen=True)
class Place:
    """What a job must find on its node: that of the machine that gave the command."""

    folder: str
    """Relative paths are from here."""
    versions: dict[str, str]
    shared: dict[Path, str | None]

    def differs(self) -> str | None:
        """How this node is other, and what to do about it; None if it is not. Moves to the folder if it is there."""
        if others := [f"{name} {own}" for name, own in versions().items() if own != self.versions.get(name)]:
            wanted = ", ".join(f"{name} {self.versions.get(name)}" for name in (one.split()[0] for one in others))
            return f"it has {', '.join(others)} and not {wanted}; install the same on every node"
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

    def error(self) -> Exception:
        if self.errno in FULL:
            return OSError(self.errno, self.reason)
        return UserError(f"engine=ray, node {self.node}: {self.reason}")


def _call(function: Callable, job, here: Place) -> tuple[object, int] | Failure:
    """On a node: the result of a job and the number of its items."""
    node = socket.gethostname()
    if difference := here.differs():
        return Failure(node, difference)
    one_thread()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    try:
        return function(job, tick), ticks
    except UserError as error:
        return Failure(node, str(error))
    except OSError as error:
        return Failure(node, str(error), error.errno)
    except Exception as error:
        return Failure(node, f"{type(error).__name__}: {error}; engine=local would give the traceback")


def _sign(path: Path) -> str | None:
    """What tells a file from another of its name; None where there is none."""
    if path.is_dir():
        return "folder"
    with suppress(OSError), path.open("rb") as file:
        return hashlib.sha256(file.read(HEAD)).hexdigest()
    return None
