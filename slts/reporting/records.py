"""Records: the JSON files in which figures are kept for good, an object, or a list of one object a run."""

import json
from pathlib import Path

from slts.files import write_whole


def read_record(file: Path, absent: list[dict] | None = None) -> dict | list[dict]:
    """What a record holds, or ``absent`` where that is given and there is no such file."""
    return absent if absent is not None and not file.is_file() else json.loads(file.read_text())


def write_record(record: dict | list[dict], file: Path) -> None:
    """Whole or not at all; an object with a fact a line, a list with an object a line."""
    if isinstance(record, list):
        text = "[\n" + ",\n".join(map(json.dumps, record)) + "\n]\n"
    else:
        text = json.dumps(record, indent=1) + "\n"
    write_whole(file, text.encode())
