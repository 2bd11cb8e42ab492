"""CSV tables that are safe to open in a spreadsheet: text is never taken for a formula, and numbers stay numbers."""

import csv
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How text begins that a spreadsheet would run, or that ``cell`` has already marked."""


def cell(value: object) -> object:
    """The value as it stands in a table: text that would be a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def text(written: str) -> str:
    """The text of which ``cell`` made what is written."""
    return written[1:] if written.startswith("'") and FORMULA.match(written) else written


def write_rows(stream: TextIO, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """The columns of the rows as CSV, None or a missing one as an empty cell; ``stream`` was opened with newline=""."""
    table = csv.writer(stream)
    table.writerow(map(cell, columns))
    table.writerows([cell(row.get(name)) for name in columns] for row in rows)


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV without its index."""
    return frame.rename(columns=cell).map(cell).to_csv(index=False)
