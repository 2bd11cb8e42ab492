"""Journals of studies whose workers died in writing, or that were damaged."""

import shutil
from pathlib import Path

import optuna
import pytest
from conftest import slts
from optuna.trial import TrialState

from slts.errors import UserError
from slts.sweeping.storage import open_storage


def opened(file: Path):
    return open_storage(f"journal:{file}", 30, print)


@pytest.fixture
def journal(tmp_path) -> Path:
    """Two finished trials."""
    file = tmp_path / "sweeps.log"
    study = optuna.create_study(study_name="own", storage=opened(file))
    for value in (0.5, 0.7):
        study.tell(study.ask(), value)
    return file


def loaded(file: Path) -> optuna.Study:
    return optuna.load_study(study_name="own", storage=opened(file))


def test_a_study_goes_on_after_a_cut_last_line(journal, capsys):
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-30])
    lines = whole.count(b"\n")
    study = loaded(journal)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"line {lines} was cut in writing" in said
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    study.tell(study.ask(), 0.9)
    assert [trial.value for trial in loaded(journal).trials] == [0.5, None, 0.9]
    assert capsys.readouterr().out == "", "it is said once"


@pytest.mark.parametrize("kept", [1, 5, 11, 40])
def test_the_record_that_was_written_behind_a_cut_one_counts(journal, kept, capsys):
    """Two cut records in one line, as of two workers that died, and then a whole one."""
    lines = journal.read_bytes().splitlines(keepends=True)
    glued = lines[-2][:kept] + lines[-2][:-10] + lines[-1]
    journal.write_bytes(b"".join([*lines[:-1], glued]))
    size = journal.stat().st_size
    assert [trial.value for trial in loaded(journal).trials] == [0.5, 0.7]
    assert f"line {len(lines)} was cut" in capsys.readouterr().out
    assert journal.stat().st_size == size, "records of others stay where they are"


def test_a_worker_that_has_the_journal_open_reads_on(journal):
    other = loaded(journal)
    with journal.open("ab") as stream:
        stream.write(b'{"op_code":6,"worker_id":"w-1","trial')
    study = loaded(journal)
    study.tell(study.ask(), 0.9)
    assert [trial.value for trial in other.trials] == [0.5, 0.7, 0.9]


def test_a_record_that_lacks_its_newline_alone_is_whole(journal, capsys):
    journal.write_bytes(journal.read_bytes()[:-1])
    study = loaded(journal)
    assert [trial.value for trial in study.trials] == [0.5, 0.7] and capsys.readouterr().out == ""
    study.tell(study.ask(), 0.9)
    assert len(loaded(journal).trials) == 3


@pytest.mark.parametrize("damage", [b"\xff\xfe garbage\n", b"[]\n", b'{"op_code":5,"worker_id":"x","tri\n', b"1\n"])
def test_damage_in_the_middle_is_refused_by_line_and_left_as_it_is(journal, damage):
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:2], damage, *lines[2:]])
    journal.write_bytes(damaged)
    with pytest.raises(UserError, match=r"sweeps\.log .*: line 3 is no record of Optuna") as refused:
        opened(journal)
    assert "\n" not in str(refused.value) and journal.read_bytes() == damaged


@pytest.mark.parametrize("text", ["a note of somebody", "stem,text\na,b\n", '{"epoch": 1}'])
def test_a_file_that_is_no_journal_is_not_touched(tmp_path, text):
    file = tmp_path / "notes.txt"
    file.write_text(text)
    with pytest.raises(UserError, match="not a journal of Optuna"):
        opened(file)
    assert file.read_text() == text


@pytest.mark.parametrize("record", ['{"op_code":0,"worker_id":"x"}', '{"op_code":99,"worker_id":"x"}'])
def test_records_that_optuna_does_not_know_are_one_line(journal, record):
    with journal.open("a") as stream:
        stream.write(record + "\n")
    with pytest.raises(UserError, match="a record that this Optuna cannot read"):
        opened(journal)


def test_the_journal_that_was_cut(cases, tmp_path):
    shutil.copy(cases / "score" / "journal_cut_input.log", tmp_path / "cut.log")
    (tmp_path / "cut.log").chmod(0o644)
    keys = ["sweep", "action=report", "study=j2", f"storage=journal:{tmp_path}/cut.log", f"runs={tmp_path}"]
    done = slts(*keys)
    assert "line 22 was cut in writing; the study goes on" in done.stdout and "Traceback" not in done.stderr
    assert "2 trials: " in (tmp_path / "j2" / "report" / "report.md").read_text()
