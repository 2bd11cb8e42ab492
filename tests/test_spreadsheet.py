"""What a spreadsheet would run is marked, numbers are not, and what was marked is read back as it was."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slts import spreadsheet
from slts.data.offset_table import read_offsets
from slts.spreadsheet import cell, csv_text, text, write_csv


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run(start):
    assert cell(f"{start}1+1") == f"'{start}1+1"


def test_numbers_and_plain_text_stay():
    for value in (-1, -1.5, np.float64(-2), None, True, "plain", "a=b", "'quoted'", "o'clock", ""):
        assert cell(value) is value


def test_no_table_is_written_past_it():
    package = Path(spreadsheet.__file__).parent
    writers = re.compile(r"csv\.(Dict)?[Ww]riter|\.to_csv\((?!\))")
    found = {file.name for file in package.rglob("*.py") if writers.search(file.read_text())}
    assert found == {"spreadsheet.py"}


@given(st.text(alphabet="'=+-@\t\r\nab", max_size=6))
def test_what_is_read_is_what_was_written(name):
    assert text(cell(name)) == name
    assert cell(name)[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_rows_and_frames(tmp_path):
    write_csv(tmp_path / "a.csv", ["+key", "ms"], [{"+key": "@a", "ms": -10.0, "more": 1}, {"+key": "b"}])
    assert list(csv.reader(io.StringIO((tmp_path / "a.csv").read_text()))) == [
        ["'+key", "ms"],
        ["'@a", "-10.0"],
        ["b", ""],
    ]
    frame = pd.DataFrame({"=a": ["-x", None], "n": [-1, 2], "x": [-0.5, np.nan]})
    assert csv_text(frame) == "'=a,n,x\n'-x,-1,-0.5\n,2,\n"


def test_offsets_of_clips_with_such_names_are_found_again(tmp_path):
    rows = [{"key": "=s1/a", "offset_ms": -40.0}, {"key": "-5", "offset_ms": 0}]
    write_csv(tmp_path / "offsets.csv", ["key", "offset_ms"], rows)
    assert read_offsets(tmp_path / "offsets.csv") == {"=s1/a": -40.0, "-5": 0.0}
