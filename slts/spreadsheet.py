"""CSV tables that are safe to open in a spreadsheet: text is never taken for a formula, and numbers stay numbers."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from slts.files import write_whole

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How text begins that a spreadsheet would run, or that ``cell`` has already marked."""


def cell(value: object) -> object:
    """The value as it stands in a table: text that would be a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def text(written: str) -> str:
    """The text of which ``cell`` made what is written."""
    return written[1:] if written.startswith("'") and FORMULA.match(written) else written


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """A CSV file, whole or absent, of the columns of the rows; None or a missing one is an empty cell.
    Bytes of names that are no UTF-8 become escapes.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(map(cell, columns))
    table.writerows([cell(row.get(name)) for name in columns] for row in rows)
    write_whole(file, written.getvalue().encode(errors="backslashreplace"))


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV without its index."""
    return frame.rename(columns=cell).map(cell).to_csv(index=False)
