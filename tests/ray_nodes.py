"""A Ray cluster of several nodes on this machine, each started by ``ray start``, for tests and benchmarks.

Nothing here waits for ever: a node that is not up within STARTING seconds is said to be so, and none lives longer than
LIVING, whatever becomes of the process that started it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

STARTING, LIVING = 180, 1800
"""Seconds."""
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""A node that was killed is given up within some seconds, not twenty."""
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray's jobs would wait for all else that a busy machine does
    "OMP_NUM_THREADS": "1",
}
"""Of the nodes; programs that join them need the first, too."""


class Nodes:
    """``count`` nodes of a core each. The first is the head, by which programs of this machine join; each of the others
    has an address of its own on loopback, so that no program's own node is killed with them."""

    def __init__(self, count: int):
        # Names of sockets may have 107 bytes, so that the folder's may not be long.
        self.folder, self.processes = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp")), []
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        self.address = f"{socket.gethostbyname('localhost')}:{port}"
        try:
            head = "--head", f"--port={port}", f"--temp-dir={self.folder}", "--include-dashboard=false", "--no-monitor"
            self._start(*head, f"--system-config={json.dumps(QUICK)}")
            self._wait(lambda: self._listens(port))
            for number in range(2, count + 1):
                self._start(f"--address={self.address}", f"--node-ip-address=127.0.0.{number}")
            self._wait(lambda: all("Ray runtime started" in self._said(n) for n in range(1, count + 1)))
        except BaseException:
            self.stop()
            raise

    def kill(self, number: int) -> None:
        """Ends a node, counted from 1, as if its machine lost its power."""
        with suppress(ProcessLookupError):
            os.killpg(self.processes[number - 1].pid, signal.SIGKILL)
        self.processes[number - 1].wait(10)

    def stop(self) -> None:
        for number in range(len(self.processes), 0, -1):
            self.kill(number)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *options: str) -> None:
        log = self.folder / f"node-{len(self.processes) + 1}.log"
        with log.open("w") as file:
            command = ["timeout", "--signal=KILL", str(LIVING), sys.executable, "-m", "ray.scripts.scripts", "start"]
            small = f"--object-store-memory={80 << 20}", "--include-log-monitor=false"
            # Nodes import what the program that starts them does, its tests among it.
            environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self.processes.append(
                subprocess.Popen(
                    [*command, "--block", "--num-cpus=1", "--num-gpus=0", *small, *options],
                    stdout=file, stderr=file, env=environment, process_group=0,
                )
            )  # fmt: skip

    def _said(self, number: int) -> str:
        return (self.folder / f"node-{number}.log").read_text(errors="replace")

    def _wait(self, up) -> None:
        deadline = time.monotonic() + STARTING
        while not up():
            dead = [n for n, process in enumerate(self.processes, 1) if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"node {dead[0]} ended" if dead else f"not up within {STARTING} s"
                said = "\n".join(self._said(n) for n in dead or range(1, len(self.processes) + 1))
                raise RuntimeError(f"ray start: {why}\n{said[-2000:]}")
            time.sleep(0.1)

    @staticmethod
    def _listens(port: int) -> bool:
        with suppress(OSError):
            socket.create_connection(("localhost", port), 1).close()
            return True
        return False
