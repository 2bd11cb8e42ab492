"""The files of a folder and of those below it, the text of one, and the folder of what can be had again."""

import os
import stat
from pathlib import Path


def cache_folder() -> Path:
    """``$SLTS_CACHE``, or ~/.cache/slts."""
    return Path(os.environ.get("SLTS_CACHE", "~/.cache/slts")).expanduser()


def files_below(root: Path) -> list[Path]:
    """Every file at any depth below ``root``, sorted. Links to folders are followed, each folder is entered once.

    A folder is entered by its own name rather than by a link to it, and never the ``root`` or one above. What cannot
    be listed stands there like a file.
    """
    entered = {_identity(folder) for folder in root.resolve().parents}
    folders, links, files = [root], [], []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            if (identity := _identity(folder)) in entered:
                continue
            entered.add(identity)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            files.append(folder)
            continue
        for entry in entries:
            kind = (links if entry.is_symlink() else folders) if _is_folder(entry) else files
            kind.append(folder / entry.name)
    return sorted(files)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def printable(name: str) -> str:
    """A name whose bytes are not UTF-8 with these bytes as escapes: it can be written to tables and ledgers."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_plain(file: Path, largest: int) -> str:
    """UTF-8 text of a file that may be somebody else's. Raises OSError, and ValueError for a FIFO, a device, a folder,
    more than ``largest`` bytes, or what is not UTF-8."""
    kind = file.stat()
    if not stat.S_ISREG(kind.st_mode):
        raise ValueError("not a plain file")
    if kind.st_size > largest:
        raise ValueError(f"{kind.st_size} bytes, at most {largest} are read")
    return file.read_bytes().decode()
