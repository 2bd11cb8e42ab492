"""Rows of JSON: half lines are cut off and never glued to, garbage stops no reader."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from slts.json_lines import append_rows, keep_rows, read_rows, rows_of

GARBAGE = {
    "no JSON": b'{"step": 1, "na{"step": 2}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "NUL bytes": bytes(40),
    "no object": b"[1, 2]",
    "a carriage return": b'{"a":\r1',
    "nested too deep": b"[" * 100_000,
}


@pytest.fixture
def file(tmp_path):
    append_rows(tmp_path / "rows.jsonl", [{"step": 1}, {"step": 2}])
    return tmp_path / "rows.jsonl"


@pytest.mark.parametrize(
    "half", [b'{"step": 3, "value": 0.1', b"{", b"\x00\x00\x00\x00", b'{"name": "\xc3', b"9" * 200_000]
)
def test_a_half_line_is_cut_off_at_the_next_write_and_said(half, file, caplog):
    with file.open("ab") as stream:
        stream.write(half)
    assert read_rows(file) == [{"step": 1}, {"step": 2}] and not caplog.messages  # it may be being written
    append_rows(file, [{"step": 4}])
    assert file.read_bytes() == b'{"step": 1}\n{"step": 2}\n{"step": 4}\n'
    [said] = caplog.messages
    assert str(file) in said and f"{len(half)} bytes are cut off" in said
    append_rows(file, [{"step": 5}])
    assert len(caplog.messages) == 1


def test_a_whole_line_that_lacks_its_newline_is_kept(file):
    with file.open("ab") as stream:
        stream.write(b'{"step": 3}')
    assert len(read_rows(file)) == 3
    append_rows(file, [{"step": 4}])
    assert [row["step"] for row in read_rows(file)] == [1, 2, 3, 4]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_middle_is_said_once_with_file_and_line(garbage, file, caplog):
    with file.open("ab") as stream:
        stream.write(garbage + b"\n\n")
    append_rows(file, [{"step": 4}])
    for _ in range(2):
        assert [row["step"] for row in read_rows(file)] == [1, 2, 4]
    assert caplog.messages == [f"{file}, line 3: no JSON object; left out"]
    keep_rows(file, lambda row: row["step"] < 4)
    assert [row["step"] for row in read_rows(file)] == [1, 2] and garbage in file.read_bytes()
    assert len(caplog.messages) == 1


def test_many_lines_of_garbage_are_one_line_of_words(file, caplog):
    with file.open("ab") as stream:
        stream.write(b"garbage\n" * 500)
    read_rows(file)
    assert caplog.messages == [f"{file}, line 3: no JSON object, and 499 more such lines; left out"]


def test_rows_are_checked_by_their_reader(file):
    def wrong(row):
        return "step 2 is none" if row["step"] == 2 else None

    assert rows_of(file, wrong) == ([{"step": 1}], ["line 2: step 2 is none"])


def test_rows_are_taken_out_and_a_half_line_with_them(file, caplog):
    whole = file.read_bytes()
    keep_rows(file, lambda row: True)
    assert file.read_bytes() == whole
    with file.open("ab") as stream:
        stream.write(b'{"st')
    keep_rows(file, lambda row: row["step"] < 2)
    assert file.read_bytes() == b'{"step": 1}\n' and "half written" in caplog.text


def test_a_full_disk_leaves_no_half_line(file):
    """Really full: what fits of the second row is taken back."""
    code = (
        "import resource, sys; from pathlib import Path; from slts.json_lines import append_rows\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))\n"
        f"append_rows(Path({str(file)!r}), [{{'text': 'x' * 100}}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "OSError: [Errno 27]" in done.stderr
    assert file.read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_processes_append_at_once(tmp_path):
    file = tmp_path / "rows.jsonl"
    code = (
        "import sys; from pathlib import Path; from slts.json_lines import append_rows\n"
        f"for i in range(50): append_rows(Path({str(file)!r}), [{{'who': sys.argv[1], 'text': 'x' * 3000}}])"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(who)], cwd=ROOT) for who in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 150


def test_what_is_said_reaches_the_user(file):
    with file.open("ab") as stream:
        stream.write(b'{"half')
    code = f"from pathlib import Path; from slts.json_lines import append_rows; append_rows(Path({str(file)!r}), [])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1 and "half written" in done.stderr
