"""The videos of a folder, and what in it is not read."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from slts.data.media.container import VIDEO_SUFFIXES
from slts.folders import files_below, printable

COMPANIONS = (".json", ".txt")
"""Beside a video and named after it, these are its transcript or what was done to it."""
METADATA = "metadata.csv"
"""In the root of a folder, the list of its videos."""


def videos_below(root: Path) -> tuple[list[Path], list[Path]]:
    """The videos at any depth below ``root`` by their suffix, and the other files but for companions; both sorted.

    What is hidden, by a dot before its name or that of a folder, is neither.
    """
    videos, others = videos_among(path.relative_to(root) for path in files_below(root))
    return [root / path for path in videos], [root / path for path in others]


def videos_among(files: Iterable[PurePath]) -> tuple[list[PurePath], list[PurePath]]:
    """As ``videos_below``, of paths from the root on."""
    files = [path for path in files if not any(part.startswith(".") for part in path.parts)]
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    named = {path.with_suffix("") for path in videos}
    others = set(files) - set(videos) - {PurePath(METADATA)}
    return sorted(videos), sorted(path for path in others if not _accompanies(path, named))


def unread_note(unread: list[Path]) -> str | None:
    """How many files were not read, by suffix; None where all were."""
    if not unread:
        return None
    suffixes = Counter(printable(path.suffix.lower()) or "no suffix" for path in unread)
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in suffixes.most_common())
    files = "file was" if len(unread) == 1 else "files were"
    return f"{len(unread)} {files} not read: {kinds}; the first is {printable(unread[0].name)}"


def _accompanies(path: PurePath, named: set[PurePath]) -> bool:
    """Whether ``a.txt`` or ``a.mp4.repair.json`` has a video ``a`` beside it; names may have dots of their own."""
    if path.suffix.lower() not in COMPANIONS:
        return False
    parts = path.name.split(".")
    return any(path.with_name(".".join(parts[:count])) in named for count in range(1, len(parts)))
