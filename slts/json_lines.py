"""Files of JSON objects, one a line, to which rows are appended: results.jsonl, metrics.jsonl, rejected.jsonl.

A process that is killed, or a full disk, leaves a last line that is half written. It belongs to no row: readers leave
it out, and the next row is never glued to it. Lines that are no JSON objects, whatever did that, stop no reader. Each
is said once in a process, with file and line.
"""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from slts.files import write_whole

log = logging.getLogger(__name__)
TAIL = 1 << 16
"""Bytes that are looked through at once for the end of the last whole line."""

Check = Callable[[dict], str | None]
"""What is wrong with a row, None if nothing is."""


def _anything(row: dict) -> None:
    return None


def rows_of(file: Path, wrong: Check = _anything) -> tuple[list[dict], list[str]]:
    """The rows of a file in their order, and what is to be said of lines that are none.

    Args:
        file: one that is not there has no rows.
        wrong: what else must hold of a row.

    Returns:
        The rows that are JSON objects with which nothing is ``wrong``, and for every other line its number and fault,
        such as ``line 3: no JSON object``. A last line that is half written has no fault: somebody may be writing it.

    Raises:
        OSError: it is there and cannot be read.
    """
    rows, faults = [], []
    for number, line, row in _lines(file):
        if fault := _fault(row, wrong):
            if not _is_half(line, row):
                faults.append(f"line {number}: {fault}")
        else:
            rows.append(row)
    return rows, faults


def read_rows(file: Path, wrong: Check = _anything) -> list[dict]:
    """``rows_of``, and the lines that are none are said once."""
    rows, faults = rows_of(file, wrong)
    _say(file, faults)
    return rows


def append_rows(file: Path, rows: Iterable[dict]) -> None:
    """Append rows, each on a line of its own, and see to it that they are on the disk.

    A last line that is half written is cut off first, which is said. Several processes may append at once.

    Raises:
        OSError: it cannot be written; then it ends as before, without the half line.
    """
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with file.open("a+b", buffering=0) as stream:
        with contextlib.suppress(OSError):  # no locks on this file system
            fcntl.flock(stream, fcntl.LOCK_EX)
        size, newline = _mend_end(file, stream)
        left = newline + text
        try:
            while left:  # a disk that is nearly full takes a part, and says so at the next one
                left = left[stream.write(left) :]
            os.fsync(stream.fileno())
        except OSError:
            stream.truncate(size)
            raise


def keep_rows(file: Path, wanted: Callable[[dict], bool], wrong: Check = _anything) -> None:
    """Take the rows that are not ``wanted`` out of a file, and a last line that is half written, which is said.

    Lines that are no rows stay where they are and are said.
    """
    kept, faults = [], []
    for number, line, row in _lines(file):
        fault = _fault(row, wrong)
        if _is_half(line, row):
            _say_cut(file, len(line))
        elif fault or wanted(row):
            kept.append(line.removesuffix(b"\n") + b"\n")
        if fault and not _is_half(line, row):
            faults.append(f"line {number}: {fault}")
    _say(file, faults)
    if file.exists() and (content := b"".join(kept)) != file.read_bytes():
        write_whole(file, content)


def _lines(file: Path) -> Iterator[tuple[int, bytes, dict | None]]:
    """Number, bytes with the newline, and the row of every line that is not blank; None where it is no JSON object."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    *ended, last = content.split(b"\n")
    for number, line in enumerate([*(line + b"\n" for line in ended), last], 1):
        if line.strip():
            yield number, line, _row(line)


def _fault(row: dict | None, wrong: Check) -> str | None:
    return "no JSON object" if row is None else wrong(row)


def _is_half(line: bytes, row: dict | None) -> bool:
    """Of a line that a process was writing when it died, the end is missing."""
    return row is None and not line.endswith(b"\n")


def _row(line: bytes) -> dict | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # of bytes that are no UTF-8, too
        return None
    return row if isinstance(row, dict) else None


def _mend_end(file: Path, stream: BinaryIO) -> tuple[int, bytes]:
    """Cuts off a last line that is half written. Returns the size then, and the newline that a whole one may lack."""
    begin = size = stream.seek(0, os.SEEK_END)
    last = b""
    while begin and b"\n" not in last:
        step = min(TAIL, begin)
        begin = stream.seek(begin - step)
        last = stream.read(step) + last
    last = last.rpartition(b"\n")[2]
    if not last:
        return size, b""
    if not _is_half(last, _row(last)):
        return size, b"\n"
    stream.truncate(size - len(last))
    _say_cut(file, len(last))
    return size - len(last), b""


def _say_cut(file: Path, size: int) -> None:
    log.warning("%s: its last line was half written; these %d bytes are cut off", file, size)


def _say(file: Path, faults: list[str]) -> None:
    if faults:
        more = f", and {len(faults) - 1} more such lines" if len(faults) > 1 else ""
        _say_once(f"{file}, {faults[0]}{more}; left out")


@cache
def _say_once(text: str) -> None:
    log.warning("%s", text)
