"""Any folder of talking-face videos with sound.

An optional ``metadata.csv`` in the root has the columns ``file`` (relative to the root) and, as far as known,
``speaker``, ``split`` and ``text``; only the videos it lists are taken. Without it every video below the root is taken,
and its speaker is the name of its folder. Videos without a split get the seeded 90/5/5 of their speaker.
"""

import csv
import hashlib
import io
import re
from functools import partial
from pathlib import Path, PurePath

from slts.corpora.splits import SPLITS, seeded_split
from slts.data.clip import Clip, Reject
from slts.data.keys import distinct_keys
from slts.data.media import VIDEO_SUFFIXES, Streams, read_clip
from slts.data.media.folder import METADATA, unread_note
from slts.data.raw_videos import Folder, Listing, raw_videos
from slts.data.storage import Stored, on_this_machine
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.folders import printable

ADDRESSES = True
COLUMNS = ("file", "speaker", "split", "text")


def found(config) -> tuple[list[Utterance], list[Path]]:
    """The videos below the root, ordered by split and path; and the files that are none, which are not looked for where
    a metadata.csv lists what is to be read.

    Args:
        config: ``root``, ``seed``, ``fps`` (None keeps each video's own), ``video_stream`` and ``audio_stream``.

    Raises:
        UserError: no such root, no videos, or a bad metadata.csv.
    """
    root = raw_videos(config)
    metadata, others = root.metadata(), []
    if metadata is None:
        rows, others = _find_videos(root)
    else:
        rows = _read_metadata(metadata, root)
    if not rows:
        why = f" ({note})" if (note := unread_note(others)) else ""
        raise UserError(f"root={root}: no videos there{why}; known are {', '.join(VIDEO_SUFFIXES)}")

    unplaced: dict[str, list[str]] = {}
    for row in rows:
        if not row["split"]:
            unplaced.setdefault(row["speaker"], []).append(row["file"])
    drawn = {
        file: split
        for speaker, files in unplaced.items()
        for file, split in seeded_split(files, speaker, config.seed).items()
    }
    keys = _keys([row["file"] for row in rows])
    streams = Streams(config.video_stream, config.audio_stream)
    read = partial(_read, fps=config.fps, streams=streams)
    utterances = [
        Utterance(
            key=keys[row["file"]],
            split=row["split"] or drawn[row["file"]],
            speaker=row["speaker"],
            text=row["text"] or None,
            source=printable(row["file"]),
            load=partial(read, root.video(row["file"])) if _named(row["file"]) else _refuse_name,
            video=root.video(row["file"]) if _named(row["file"]) else None,
            streams=streams,
        )
        for row in rows
    ]
    utterances.sort(key=lambda utterance: (SPLITS.index(utterance.split), utterance.source))
    return utterances, [Path(config.root) / file for file in others]


def _read(video: Path | Stored, **how) -> Clip:
    return read_clip(on_this_machine(video), **how)


def _find_videos(root: Folder | Listing) -> tuple[list[dict], list[PurePath]]:
    videos, others = root.videos()
    rows = [
        {"file": file.as_posix(), "speaker": printable(_speaker(file, root)), "split": "", "text": ""}
        for file in videos
    ]
    return rows, others


def _speaker(file: PurePath, root: Folder | Listing) -> str:
    return file.parent.name or root.name


def _read_metadata(data: bytes, root: Folder | Listing) -> list[dict]:
    path = f"{root}/{METADATA}"
    try:
        with io.StringIO(data.decode("utf-8-sig"), newline="") as file:
            table = csv.DictReader(file)
            if "file" not in (table.fieldnames or []) or set(table.fieldnames) - set(COLUMNS):
                raise UserError(f"{path}: the first line must name its columns: file and any of speaker, split, text")
            rows = [{column: (row.get(column) or "").strip() for column in COLUMNS} for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable UTF-8 CSV file ({error})") from None
    seen = set()
    for number, row in enumerate(rows, 2):
        if not row["file"] or not root.holds(row["file"]):
            raise UserError(f"{path}, row {number}: file '{row['file']}' must lie in the root")
        if row["split"] not in ("", *SPLITS):
            raise UserError(f"{path}, row {number}: split '{row['split']}' must be train, val, test or empty")
        if row["file"] in seen:
            raise UserError(f"{path}, row {number}: {row['file']} is listed twice; remove one of the rows")
        seen.add(row["file"])
        row["speaker"] = row["speaker"] or _speaker(PurePath(row["file"]), root)
    return rows


def _named(text: str) -> bool:
    return printable(text) == text


def _refuse_name() -> Clip:
    raise Reject("bad_name", "the name is not UTF-8; rename the file or its folder")


def _keys(files: list[str]) -> dict[str, str]:
    """A key for each path: its letters and digits, with a digest where that would be too long or not unique."""
    plain = {file: re.sub(r"[^A-Za-z0-9_-]+", "_", file.rpartition(".")[0]).strip("_") for file in files}
    digested = {file: f"{key[:80]}-{_digest(file)}" for file, key in plain.items()}
    short = {file: key if 0 < len(key) <= 80 else digested[file] for file, key in plain.items()}
    return distinct_keys(short, digested)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
