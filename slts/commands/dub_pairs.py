"""Which films ``slts dub`` lets speak which sounds: those of folders, or of a list."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slts.errors import UserError
from slts.evaluation.sounds import sound_folder
from slts.folders import read_plain
from slts.systems.videos import find_videos

COLUMNS = ("key", "video", "audio")
"""Of a list, in this order in its first line."""
LARGEST = 2**26
"""Bytes of a list."""


@dataclass(frozen=True)
class Pair:
    key: str
    """Below ``out``, the output without its suffix."""
    video: Path
    audio: Path


def listed_pairs(file: Path, videos: Path, sounds: Path) -> list[Pair]:
    """The pairs of a CSV with the columns key, video, audio; the latter two are files below the two folders.

    Raises:
        UserError: names the line: other columns, an empty cell, a key that is there twice (letters that differ in case
            alone are the same), or a name that leads out of its folder.
    """
    for key, folder in (("video", videos), ("audio", sounds)):
        if not folder.is_dir():
            raise UserError(f"{key}={folder}: with pairs= it is the folder below which the list's files are")
    try:
        written = read_plain(file, LARGEST).removeprefix("\ufeff")  # as spreadsheets begin UTF-8
        lines = list(csv.reader(io.StringIO(written, newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"pairs={file}: {error}; give a CSV with the columns {','.join(COLUMNS)}") from None
    if not lines or tuple(cell.strip() for cell in lines[0]) != COLUMNS:
        raise UserError(f"pairs={file}: its first line must be {','.join(COLUMNS)}")
    pairs, seen = [], {}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        where, cells = f"pairs={file}, line {number}", [cell.strip() for cell in line]
        if len(cells) != len(COLUMNS) or not all(cells):
            raise UserError(f"{where}: a key, a video and an audio file are needed")
        for name in cells:
            _refuse_escape(where, name)
        key = str(PurePosixPath(cells[0]))  # ./a and a are one file
        if (before := seen.setdefault(key.lower(), number)) != number:
            raise UserError(f"{where}: the key {key} is there twice, first in line {before}")
        pairs.append(Pair(key, videos / cells[1], sounds / cells[2]))
    if not pairs:
        raise UserError(f"pairs={file}: no pair below its first line")
    return pairs


def found_pairs(video: Path, audio: Path) -> tuple[list[Pair], list[str]]:
    """The pairs of a folder and a file, the file with each of the folder, or of two folders, by their names without
    suffix; and what is to be said of files without a partner. Raises UserError where there is no pair."""
    sounds = sound_folder("audio", audio).sounds if audio.is_dir() else {}
    if not video.is_dir():
        return [Pair(key, video, sound) for key, sound in sounds.items()], []
    notes: list[str] = []
    films = {key: film for film, key in find_videos(video, notes.append).items()}
    if not audio.is_dir():
        return [Pair(key, film, audio) for key, film in films.items()], notes
    pairs = [Pair(key, film, sounds[key]) for key, film in films.items() if key in sounds]
    if not pairs:
        raise UserError(f"video={video} and audio={audio}: no film has the name of a sound; pairs= takes a list")
    for name, alone in (("films", films.keys() - sounds.keys()), ("sounds", sounds.keys() - films.keys())):
        if alone:
            notes.append(f"{len(alone)} {name} without a partner are left out, the first is {min(alone)}")
    return pairs, notes


def _refuse_escape(where: str, name: str) -> None:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name or name.endswith("/"):
        raise UserError(f"{where}: {name} leads out of its folder, or is one; give names of files below it")
