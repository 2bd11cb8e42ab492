"""Files that are there whole or not at all, never in the place of a source, and what they are known by."""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from slts.errors import UserError

UNFINISHED = ".*.tmp*"
"""The names that files have while they are written, for ``Path.glob``."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write, which gets the name ``path`` once all of it is on the disk.

    Its folder is made. Until the end, and if anything is raised, what was at ``path`` stays as it is. While it is
    written it lies in the same folder under a hidden name with the same suffix.

    Raises:
        OSError: the folder is full, closed or cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name may have 255 bytes, so that not all of the given one may be left to go into another.
    stem = path.stem.lstrip(".")[:40]
    temporary = path.with_name(f".{stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # of file systems on which folders cannot be flushed
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the process dies. Raises OSError as ``whole_file``."""
    with whole_file(path) as file:
        file.write(data)


def is_unfinished(path: Path) -> bool:
    """Whether a file's name is one that files have while they are written."""
    return re.fullmatch(r"\..*\.tmp(\..*)?", path.name) is not None


def refuse_sources(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuses outputs that are sources, also by another name, through a link, or of the same inode.

    Args:
        outputs: files to be written.
        sources: files that are read; those that are not there do not count.

    Raises:
        UserError: names the first of them.
    """
    known = {}
    for source in sources:
        with contextlib.suppress(OSError):
            known.setdefault(_identity(source), source)
    for output in outputs:
        with contextlib.suppress(OSError):  # not there
            if source := known.get(_identity(output)):
                which = "" if output == source else f" {source}"
                raise UserError(f"out={output} is the source{which}, which is never overwritten; choose another place")


def _identity(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_dev, facts.st_ino


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
