"""Runs a training for as long as somebody holds the other end of its standard input.

``leash.py GRACE COMMAND ...``: when standard input ends, because the worker closed it or died, the processes of the
command get SIGTERM, on which slts train saves and ends, and after GRACE seconds SIGKILL. Exit status: that of the
command, 128 + n if signal n killed it.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys

import psutil

POLL = 0.2


def main(grace: float, command: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        # A handler, unlike SIG_IGN, is not handed down to the command.
        signal.signal(number, lambda *_: None)
    os.environ.setdefault("PET_SHUTDOWN_TIMEOUT", str(int(grace)))  # what torchrun leaves its ranks for saving
    training = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while training.poll() is None:
        if select.select([0], [], [], POLL)[0] and not os.read(0, 1):
            end(training, grace)
            break
    return training.wait() if training.returncode >= 0 else 128 - training.returncode


def end(training: subprocess.Popen, grace: float) -> None:
    """SIGTERM to the command and all it started (a launcher may die of it at once), SIGKILL to what is left."""
    try:
        root = psutil.Process(training.pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for process in tree:
        _send(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=grace)
    for process in alive:
        _send(process, signal.SIGKILL)
    training.wait()


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
