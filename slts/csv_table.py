"""Tables of rows as CSV files, whole or not at all."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from slts.whole_files import write_whole


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """A CSV file with a line of ``columns`` and one of each row; what else a row holds is left out.

    Bytes of names that are no UTF-8 become escapes.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    write_whole(file, text.getvalue().encode(errors="backslashreplace"))
