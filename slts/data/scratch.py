"""A folder of this process for files that go again: copies of what lies elsewhere, and what is on its way there."""

import atexit
import fcntl
import functools
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

PREFIX = "slts-scratch-"
NEW = 60
"""Seconds for which a folder without a lock is left alone: its process may just be making it."""


def scratch() -> Path:
    """The folder, in ``TMPDIR``. It goes with the process; if that is killed, with the next one that calls this."""
    return _folder_and_lock(os.getpid())[0]


@functools.cache
def _folder_and_lock(_pid: int) -> tuple[Path, TextIO]:
    _remove_those_of_the_dead()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = (folder / "lock").open("w")  # held as long as the process lives
    fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder, lock


def _remove_those_of_the_dead() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # alive, another user's, or gone meanwhile
            if folder.stat().st_mtime < time.time() - NEW and folder.stat().st_uid == os.getuid():
                with (folder / "lock").open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
