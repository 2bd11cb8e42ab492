"""Commands in processes of their own that begin at once: forked from a server that has imported all of slts."""

import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"  # read where torch is imported


def modules_of_slts() -> list[str]:
    """All but those of ``slts demo``, which alone needs Gradio; found, so that none which moves is forgotten."""
    files = [file.relative_to(ROOT).with_suffix("") for file in sorted((ROOT / "slts").rglob("*.py"))]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files]
    return [name for name in names if not name.startswith("slts.demo")]


# Not a fork of pytest itself: a process whose autograd threads have run cannot be forked safely.
FORKED = multiprocessing.get_context("forkserver")
# Beside the modules what they import where it is used.
FORKED.set_forkserver_preload([*modules_of_slts(), "matplotlib.pyplot", "torch._dynamo"])


PATIENCE = 600
"""Seconds that a command of a test may take on a busy machine."""


def status(process: multiprocessing.Process) -> int:
    """Its exit status, waited for. Where that never comes, it and all it forked print where their threads are, in
    what they print to, and end."""
    process.join(PATIENCE)
    if process.is_alive():
        for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGABRT)
    process.join()
    return process.exitcode


def run_command(words: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    """``slts`` with these words in a forked process, which is interruptible as in a shell."""
    from slts import cli

    gc.freeze()  # what the server has imported is not looked through at each collection
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # as TMPDIR has it here, not as the server once looked it up
    for name, number in ((os.devnull, 0), (out, 1), (err, 2)):
        descriptor = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    faulthandler.enable()
    sys.argv = ["slts", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a suite in the background would leave ignored
    cli.main()
