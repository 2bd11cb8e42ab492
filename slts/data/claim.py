"""Who may write into a corpus folder: one recipe ever, one process at a time."""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slts.errors import UserError
from slts.files import UNFINISHED, write_whole

MARKER = ".prepare.json"
"""Holds the recipe of the corpus in a folder from the start on."""
LOCK = ".prepare.lock"
"""An empty file, locked by the process that works in the folder; the lock dies with it."""

log = logging.getLogger(__name__)


@contextmanager
def claimed(out: Path, settings: dict) -> Iterator[None]:
    """Take the folder for this corpus, or find that it was taken for the same one, and keep other processes out.

    Raises:
        UserError: the folder holds something else, or another process works there.
    """
    out.mkdir(parents=True, exist_ok=True)
    marker = out / MARKER
    if not marker.exists() and any(not path.name.startswith(".prepare.") for path in out.iterdir()):
        raise UserError(f"out={out}: the folder is not empty and not of slts prepare; choose another")
    with (out / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"out={out}: another slts prepare is at work there; wait for it or stop it") from None
        except OSError as error:
            log.warning("out=%s: no locks on this file system (%s); see to it that no other prepare runs", out, error)
        if not marker.exists():
            write_whole(marker, json.dumps(settings, indent=1).encode())
        there = json.loads(marker.read_text())
        if there != settings:
            keys = sorted(settings.keys() | there.keys())
            changed = ", ".join(key for key in keys if there.get(key) != settings.get(key))
            raise UserError(f"out={out}: holds another corpus (different: {changed}); choose another or delete it")
        remove_unfinished(out)
        yield
        # Once more: workers of a process killed just before may have lived into this one's first moments.
        remove_unfinished(out)


def remove_unfinished(out: Path) -> None:
    """Delete what processes that were killed left half written."""
    for stale in out.glob(UNFINISHED):
        stale.unlink(missing_ok=True)
