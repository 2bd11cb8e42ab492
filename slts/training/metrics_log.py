"""metrics.jsonl, the append-only truth of a run: one JSON object a line, ``{"step", "name", "value"}``."""

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from slts.json_lines import append_rows, keep_rows, read_rows


def read_metrics(file: Path) -> list[dict]:
    """The rows: step a whole number, name a text, value a number, or a text such as the keys of skipped clips.

    Lines that are none are said once. Raises OSError where the file is there and cannot be read.
    """
    return read_rows(file, _wrong)


class MetricsLog:
    """The log of a run that stands at ``step``: what it holds of later steps is cut off.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, file: Path, step: int):
        self.file = file
        keep_rows(file, lambda row: row["step"] <= step, _wrong)

    def restored(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Step by step what the log holds."""
        for step, group in groupby(read_metrics(self.file), key=itemgetter("step")):
            yield step, {row["name"]: row["value"] for row in group}

    def write(self, step: int, values: dict[str, float]) -> None:
        append_rows(self.file, ({"step": step, "name": name, "value": value} for name, value in values.items()))


def _wrong(row: dict) -> str | None:
    kinds = {"step": int, "name": str, "value": (int, float, str)}
    for key, kind in kinds.items():
        if not isinstance(row.get(key), kind) or isinstance(row[key], bool):
            return f"{key} is {json.dumps(row.get(key))[:60]}"
    return None
