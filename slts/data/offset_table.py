"""Tables of offsets by clip, as ``slts offsets`` writes them."""

from pathlib import Path

import numpy as np
import pandas as pd

from slts.spreadsheet import text


def read_offsets(file: Path, above_confidence: float | None = None) -> dict[str, float]:
    """Offsets in milliseconds by key, from a CSV with the columns key, offset_ms and perhaps confidence.

    A table of ``slts score`` (stem, frontend_offset_ms) is read too. Left out are rows without an offset and, if
    ``above_confidence`` is given and the file has the column, rows whose confidence is not higher: the paper counts
    SyncNet's offsets above 3 only. Raises ValueError for a missing column, a value that is no number, a repeated key.
    """
    return {key: ms for key, ms in read_offset_rows(file, above_confidence).items() if ms is not None}


def read_offset_rows(file: Path, above_confidence: float | None = None) -> dict[str, float | None]:
    """``read_offsets`` with None for the rows that it leaves out."""
    table = pd.read_csv(file, dtype={"key": str, "stem": str}, skipinitialspace=True)
    table = table.rename(columns={"stem": "key", "frontend_offset_ms": "offset_ms"})
    if "key" in table:
        table["key"] = table["key"].map(text, na_action="ignore")
    if missing := [name for name in ("key", "offset_ms") if name not in table]:
        raise ValueError(f"no column {', '.join(missing)}; needed are key, offset_ms (or stem, frontend_offset_ms)")
    for name in {"offset_ms", "confidence"}.intersection(table):
        number = pd.to_numeric(table[name], errors="coerce")
        if (bad := number.isna() & table[name].notna() | np.isinf(number)).any():
            raise ValueError(f"line {bad.argmax() + 2}: {name} is not a number")
        table[name] = number
    if (twice := table["key"].duplicated()).any():
        raise ValueError(f"line {twice.argmax() + 2}: key {table['key'][twice.argmax()]} is there twice")
    table = table.dropna(subset=["key"])
    offsets = table["offset_ms"].astype(float)
    if above_confidence is not None and "confidence" in table:
        offsets = offsets.where(table["confidence"] > above_confidence)
    return {key: None if np.isnan(ms) else ms for key, ms in zip(table["key"], offsets.tolist(), strict=True)}
