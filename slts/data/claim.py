"""Who may write into a corpus folder: one recipe ever, one process at a time or several that make parts of it."""

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
"""An empty file, locked by the processes that work in the folder; the lock dies with them."""

log = logging.getLogger(__name__)


class Busy(UserError):
    """Another process works in the folder."""


@contextmanager
def claimed(out: Path, settings: dict, with_others: bool = False) -> Iterator[None]:
    """Take the folder for this corpus, or find that it was taken for the same one, and keep other processes out.

    With ``with_others`` those are let in that say so, too, and what was left half written stays, which may be theirs.

    Raises:
        Busy: another process works there.
        UserError: the folder holds something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    marker = out / MARKER
    # In this order: another process may write the marker, and then shards, meanwhile.
    if any(not path.name.startswith(".prepare.") for path in out.iterdir()) and not marker.exists():
        raise UserError(f"out={out}: the folder is not empty and not of slts prepare; choose another")
    with (out / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if with_others else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"out={out}: another slts prepare is at work there; wait for it or stop it") from None
        except OSError as error:
            log.warning("out=%s: no locks on this file system (%s); see to it that no other prepare runs", out, error)
        if not marker.exists():
            write_whole(marker, json.dumps(settings, indent=1).encode())
        refuse_other(out, json.loads(marker.read_text()), settings)
        if with_others:
            yield
            return
        remove_unfinished(out)
        yield
        # Once more: workers of a process killed just before may have lived into this one's first moments.
        remove_unfinished(out)


def refuse_other(out: object, there: dict, settings: dict) -> None:
    """Refuses a place that was taken for another corpus. Raises UserError."""
    if there != settings:
        keys = sorted(settings.keys() | there.keys())
        changed = ", ".join(key for key in keys if there.get(key) != settings.get(key))
        raise UserError(f"out={out}: holds another corpus (different: {changed}); choose another or delete it")


def remove_unfinished(out: Path) -> None:
    """Delete what processes that were killed left half written."""
    for stale in out.glob(UNFINISHED):
        stale.unlink(missing_ok=True)
