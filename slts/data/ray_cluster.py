"""Jobs on the nodes of a Ray cluster, in place of the processes of this machine (slts.data.parallel)."""

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slts.data.nodes import Died, Failure, Place, at_work, run_on
from slts.errors import UserError

WAITING = 4096
"""Jobs handed to Ray at once."""
ANSWER = 10.0
"""Seconds that a head may take to answer."""
PATIENCE = 20.0
"""Seconds after which it is asked whether there are nodes left to wait for."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a connection of HTTP/2 begins (RFC 9113, section 3.4): the preface and an empty frame of settings."""
_joined: str | None = None
"""The address by which this process joined a cluster."""


@dataclass(frozen=True)
class RayCluster:
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
        """Raises UserError as ``join``, where a node is not like this machine or none is left, or where a job failed
        there; and OSError where a job found the disk full."""
        place = Place.here(self.shared)
        # Where this ends early, what Ray has begun ends with this process: to cancel it may take Ray itself down.
        yield from run_on(_Jobs(self.join(), function, place, self.workers or WAITING), jobs, advance)


class _Jobs:
    """See slts.data.nodes.Nodes."""

    name = "ray"

    def __init__(self, ray, function: Callable, place: Place, at_once: int):
        self.ray, self.function, self.place, self.at_once = ray, function, place, at_once
        self.call = ray.remote(num_cpus=1, max_retries=0)(_call)

    def give(self, jobs: Sequence) -> list:
        return [self.call.remote([self.ray.put((self.function, job))], self.place) for job in jobs]

    def one_done(self, handles: Sequence):
        while True:
            done, _ = self.ray.wait(handles, num_returns=1, timeout=PATIENCE)
            if done:
                return done[0]
            if not self.ray.cluster_resources().get("CPU"):
                raise UserError(
                    "engine=ray: no node of the cluster is left with a core for jobs; start some with ray start"
                )

    def outcome(self, handle) -> tuple[object, int] | Failure:
        raised = self.ray.exceptions
        try:
            return self.ray.get(handle)
        except raised.OutOfMemoryError:
            raise Died("as its node had too little memory; give it fewer cores (num-cpus)") from None
        except (raised.WorkerCrashedError, raised.NodeDiedError, raised.ObjectLostError):
            raise Died("with its node or its process; see ray's logs") from None
        except raised.RayError as error:  # it could not even start
            reason = str(error).rstrip().splitlines()[-1]
            raise UserError(
                f"engine=ray: a node could not start a job ({reason}); install the same slts on each"
            ) from None


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


def _call(work: list, place: Place) -> tuple[object, int] | Failure:
    """On a node. ``work`` holds Ray's reference to the function and the job, which Ray leaves to be fetched within a
    list."""
    import ray  # pyright: ignore[reportMissingImports]  an extra

    vars(sys.modules["__main__"]).pop("__file__", None)  # processes that a job starts need not import Ray's program
    return at_work(lambda: _fetched(ray, work[0]), place)


def _fetched(ray, reference) -> tuple[Callable, object]:
    """What a reference stands for. Raises what its loading raised, which Ray wraps."""
    try:
        return ray.get(reference)
    except ray.exceptions.RaySystemError as error:
        raise error.client_exc from None
