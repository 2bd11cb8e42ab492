"""What stands beside a repaired video, so that nothing is repaired twice and nobody wonders what was done."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from slts.data.media.streams import AS_PLAYERS, Streams
from slts.errors import UserError
from slts.files import refuse_sources, sha256, whole_file, write_whole

TIMED = (".m4v", ".mkv", ".mov", ".mp4", ".webm")
"""Containers in which a stream may start later than another; AVI and MPEG program streams cannot say it."""


def sidecar(video: Path) -> Path:
    """Where it stands what was done to a video: ``NAME.repair.json`` beside it."""
    return video.with_name(f"{video.name}.repair.json")


def repaired_before(video: Path) -> dict | None:
    """What the sidecar of a repaired file says; None where there is none, or it is that of another file."""
    try:
        record = json.loads(sidecar(video).read_text())
        return record if record["sha256"] == sha256(video) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_repair(
    video: Path, out: Path, done: dict, method: str, streams: Streams, write: Callable[[BinaryIO], str]
) -> bool:
    """Write ``out`` and its sidecar, whole or not at all.

    Args:
        video: the source.
        out: file to write; its suffix names the container.
        done: what is done to the sound, as JSON holds it.
        method: what found it.
        streams: which streams of ``video`` are taken.
        write: writes the repaired video into an open file, and returns the SHA-256 of the picture's packets.

    Returns:
        Whether anything was written: not if ``video`` is a repaired file, or ``out`` is its repair already.

    Raises:
        Reject: what ``write`` raises.
        UserError: ``out`` is the source or another file, or its suffix is not among TIMED.
        OSError: ``out`` cannot be written.
    """
    refuse_sources([out, sidecar(out)], [video])
    if repaired_before(video) is not None:
        return False
    source = sha256(video)
    if out.exists():
        there = repaired_before(out) or {}
        same = there.get("streams", asdict(AS_PLAYERS)) == asdict(streams) and there.get("source_sha256") == source
        if same and done.items() <= there.items():
            return False
        said = f"by {done['offset_ms']:g} ms" if set(done) == {"offset_ms"} else "asked for"
        raise UserError(f"out={out} exists and is not the repair of {video} {said}; choose another name")
    if out.suffix.lower() not in TIMED:
        raise UserError(f"out={out}: {out.suffix or 'no suffix'} cannot hold sound that starts late; use .mkv or .mp4")
    with whole_file(out) as file:
        pictures = write(file)
        file.flush()
        record = {
            "source": video.name,
            "source_sha256": source,
            **done,
            "method": method,
            "streams": asdict(streams),
            "video_packets_sha256": pictures,
            "sha256": sha256(Path(file.name)),
        }
        write_whole(sidecar(out), json.dumps(record, indent=1).encode())
    return True
