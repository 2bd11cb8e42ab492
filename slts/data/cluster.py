"""Jobs on the nodes of a Ray cluster, in place of the processes of this machine (slts.data.parallel).

A job takes one core and has one thread, and no GPU. It is given to Ray anew where its process or node died, so that a
second start must do no harm. Before each job its node is held against the machine that gave the command: by the
versions that shape the bytes of shards, by the codecs of PyAV, and by whether it sees the same files.
"""

import hashlib
import importlib.util
import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from slts.data.assembly import versions
from slts.data.parallel import one_thread
from slts.errors import FULL, UserError, disk_fault

RETRIES = 5
"""Times that a job is given anew after its node or process died."""
WAITING = 4096
"""Jobs handed to Ray at once."""
HEAD = 1 << 16
"""Bytes of a shared file that are compared."""
ANSWER = 10.0
"""Seconds that a head may take to answer."""
PATIENCE = 20.0
"""Seconds after which it is asked whether there are nodes left to wait for."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a connection of HTTP/2 begins (RFC 9113, section 3.4): the preface and an empty frame of settings."""
_joined: str | None = None
"""The address by which this process joined a cluster."""


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that jobs run on; see slts.data.engine.Engine."""

    address: str | None
    """HOST:PORT of its head; None is what this process is connected to, RAY_ADDRESS, or the cluster of this
    machine, which is started if need be."""
    shared: tuple[Path, ...] = ()
    """Files and folders that every node must see as this machine does."""
    workers: int | None = None

    def join(self):
        """The module ``ray``, connected to the cluster, as this process stays.

        Raises:
            UserError: Ray is not installed, or no cluster is at the address.
        """
        address = self.address or os.environ.get("RAY_ADDRESS")
        _refuse_silence(address)
        if importlib.util.find_spec("ray") is None:
            raise UserError("engine=ray: Ray is not installed; pip install 'slts[cluster]', or leave engine= out")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to nobody
        import ray  # pyright: ignore[reportMissingImports]  an extra

        global _joined
        if ray.is_initialized() and self.address in (None, _joined):
            return ray
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(self.address, include_dashboard=None if address else False, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            said = " ".join(str(error).split())
            raise UserError(
                f"address={address}: Ray cannot join the cluster from this machine ({said}); it must be a node of it,"
                " with the same versions of Ray and Python, and where `ray start` says that tokens are enabled with"
                " RAY_AUTH_MODE=token"
            ) from None
        _joined = self.address
        return ray

    def run(self, function: Callable, jobs: Sequence, advance: Callable[[int], None]) -> Iterator:
        """``advance`` is told of the items of a job once it is done, so that what died with a node does not count.

        Raises:
            UserError: as ``join``, a node is not like this machine, none is left, or a job failed there.
            OSError: a job found the disk full.
        """
        here = Place(os.getcwd(), versions(), frozenset(av.codecs_available), {p: _sign(p) for p in self.shared})
        ray = self.join()
        call = ray.remote(num_cpus=1, max_retries=0)(_call)
        left, running, results, deaths = iter(enumerate(jobs)), {}, {}, Counter()

        def give(number: int, job: object) -> None:
            running[call.remote([ray.put((function, job))], here)] = number

        # Where this ends early, what Ray has begun ends with this process: to cancel it may take Ray itself down.
        for turn in range(len(jobs)):
            while turn not in results:
                for number, job in islice(left, (self.workers or WAITING) - len(running)):
                    give(number, job)
                reference = _one_done(ray, running)
                number = running.pop(reference)
                try:
                    results[number], items = _outcome(ray, reference)
                except Died as death:
                    deaths[number] += 1
                    if deaths[number] > RETRIES:
                        raise UserError(f"engine=ray: a job died {RETRIES + 1} times, {death}") from None
                    give(number, after_a_death(jobs[number]))
                else:
                    advance(items)
            yield results.pop(turn)


def _one_done(ray, running: dict):
    """One of the jobs that Ray has ended. Raises UserError where no node is left that could."""
    while True:
        done, _ = ray.wait(list(running), num_returns=1, timeout=PATIENCE)
        if done:
            return done[0]
        if not ray.cluster_resources().get("CPU"):
            raise UserError(
                "engine=ray: no node of the cluster is left with a core for jobs; start some with ray start"
            )


def _outcome(ray, reference) -> tuple[object, int]:
    """The result of a job and the number of its items. Raises Died."""
    try:
        outcome = ray.get(reference)
    except ray.exceptions.OutOfMemoryError:
        raise Died("as its node had too little memory; give it fewer cores (num-cpus)") from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError):
        raise Died("with its node or its process; see ray's logs") from None
    except ray.exceptions.RayError as error:  # it could not even start
        reason = str(error).rstrip().splitlines()[-1]
        raise UserError(f"engine=ray: a node could not start a job ({reason}); install the same slts on each") from None
    if isinstance(outcome, Failure):
        raise outcome.error()
    return outcome


class Died(Exception):
    """A job whose process is gone."""


def after_a_death(job):
    """What is run in place of a job whose process died: the same, unless it has an ``after_a_death()`` of its own."""
    return job.after_a_death() if hasattr(job, "after_a_death") else job


def _refuse_silence(address: str | None) -> None:
    """Refuses an address at which nobody listens, or somebody else than Ray, for whose answer Ray would wait for
    minutes. Raises UserError."""
    if address in (None, "auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UserError(
            f"address={address}: not of the form HOST:PORT, as `ray start --head` prints it (6379 is its usual port)"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER) as connection:
            connection.sendall(GREETING)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(
            f"address={address}: no cluster there ({said}); start one with ray start --head, or mend the address"
        ) from None
    # Of a head that speaks TLS the answer to a plain greeting says nothing.
    if answer[3:4] != b"\4" and os.environ.get("RAY_USE_TLS", "0") in ("0", ""):
        raise UserError(
            f"address={address}: no head of Ray listens there, but something else; give the address that"
            " `ray start --head` prints (6379 is its usual port, 8265 that of its page)"
        )


@dataclass(frozen=True)
class Place:
    """What a job must find on its node: that of the machine that gave the command."""

    folder: str
    """Relative paths are from here."""
    versions: dict[str, str]
    codecs: frozenset[str]
    """Of PyAV."""
    shared: dict[Path, str | None]

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

    def error(self) -> Exception:
        if self.errno in FULL:
            return OSError(self.errno, self.reason)
        return UserError(f"engine=ray, node {self.node}: {self.reason}")


def _call(work: list, here: Place) -> tuple[object, int] | Failure:
    """On a node: the result of a job and the number of its items. ``work`` holds Ray's reference to the function and
    the job, which Ray leaves to be fetched within a list: the node is looked at before anything of it is loaded."""
    import ray  # pyright: ignore[reportMissingImports]  an extra

    node = socket.gethostname()
    if difference := here.differs():
        return Failure(node, difference)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # not all nodes have GPUs, and those compute other bytes
    vars(sys.modules["__main__"]).pop("__file__", None)  # processes that a job starts need not import Ray's program
    one_thread()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    try:
        function, job = _fetched(ray, work[0])
        return function(job, tick), ticks
    except UserError as error:
        return Failure(node, str(error))
    except OSError as error:
        return Failure(node, str(disk_fault(error) or error), error.errno)
    except Exception as error:
        return Failure(node, f"{type(error).__name__}: {error}; engine=local would give the traceback")


def _fetched(ray, reference) -> tuple[Callable, object]:
    """What a reference stands for. Raises what its loading raised, which Ray wraps."""
    try:
        return ray.get(reference)
    except ray.exceptions.RaySystemError as error:
        raise error.client_exc from None


def _sign(path: Path) -> str | None:
    """What tells a file from another of its name; None where there is none."""
    if path.is_dir():
        return "folder"
    with suppress(OSError), path.open("rb") as file:
        return hashlib.sha256(file.read(HEAD)).hexdigest()
    return None
