"""The files of a folder and of those below it."""

import os
from pathlib import Path


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
            kind = (links if entry.is_symlink() else folders) if entry.is_dir() else files
            kind.append(folder / entry.name)
    return sorted(files)


def printable(name: str) -> str:
    """A name whose bytes are not UTF-8 with these bytes as escapes: it can be printed, and written to ledgers."""
    return name.encode("utf-8", "backslashreplace").decode()


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino
