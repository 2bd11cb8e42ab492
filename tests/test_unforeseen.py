"""What no command foresaw ends in one line: a full or closed folder with what to free, the rest with its traceback's
file."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import slts as slts_

import slts.commands.tables
from slts.cli import run


def ended(error: Exception, monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Status and the line of ``slts tables`` that dies of ``error``."""

    def main(config):
        raise error

    monkeypatch.setattr(slts.commands.tables, "main", main)
    status = run("tables", list(arguments or ["out=x"]))
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    return status, said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("named", [True, False])
def test_a_full_or_closed_folder_is_named_in_one_line(number, named, tmp_path, monkeypatch, capsys):
    file = tmp_path / "there" / "x.png"
    error = OSError(number, os.strerror(number), *([str(file)] if named else []))
    if not named:
        monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(folder, tmp_path))
    status, said = ended(error, monkeypatch, capsys, f"out={tmp_path}/later/out")
    assert status == 2 and str(tmp_path) in said
    assert ("free space there" if number in (errno.ENOSPC, errno.EDQUOT) else "choose another folder") in said


class Usage:
    """A disk that is full where the command writes, and nowhere else."""

    def __init__(self, folder: Path, full: Path):
        self.free = 0 if Path(folder).is_relative_to(full) else 10**12


def test_a_really_full_device_is_one_line(monkeypatch, capsys):
    def main(config):
        with open("/dev/full", "w") as file:
            file.write("x")

    monkeypatch.setattr(slts.commands.tables, "main", main)
    assert run("tables", ["out=x"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "the disk is full" in said


def test_the_traceback_of_the_unforeseen_is_in_the_file_that_the_line_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, said = ended(ValueError("of two\nlines"), monkeypatch, capsys)
    assert status == 1 and "ValueError: of two lines" in said
    [file] = tmp_path.iterdir()
    assert re.search(r"the traceback is in (.*)$", said)[1] == str(file)
    assert "Traceback" in file.read_text() and "raise error" in file.read_text()


def test_the_traceback_is_shown_where_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("SLTS_TRACEBACK", "1")
    monkeypatch.setattr(slts.commands.tables, "main", lambda config: 1 / 0)
    assert run("tables", ["out=x"]) == 1
    assert "Traceback" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EMFILE, "raise ulimit -n"), (errno.ENAMETOOLONG, "x.csv: the name is too long")]
)
def test_what_the_machine_refuses_is_one_line(number, words, monkeypatch, capsys):
    status, said = ended(OSError(number, os.strerror(number), "x.csv"), monkeypatch, capsys)
    assert status == 2 and words in said


@pytest.mark.parametrize("length", [240, 300])
def test_a_long_name_is_a_run_or_one_line(length, tmp_path, tiny_corpus):
    name = "é" * (length // 2)
    done = slts_("train", f"data={tiny_corpus}", f'name="{name}"', f"runs={tmp_path}", "experiment=cpu", "steps=1",
                 "validate_clips=1", "tracking=none", "batch_size=2", "workers=0", check=False)  # fmt: skip
    if length <= 255:
        assert done.returncode == 0 and (tmp_path / name / "last").is_dir()
    else:
        assert done.returncode == 2 and "the name is too long" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_an_ascii_locale_reads_and_says_every_name(locale, tmp_path):
    ascii_only = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = slts_("train", 'data="é日本"', "name=y", f"runs={tmp_path}", check=False, **ascii_only)
    assert done.returncode == 2 and "data=é日本: no corpus.json there" in done.stderr
    assert slts_("train", "--help", **ascii_only).stdout == slts_("train", "--help").stdout
    forbidden = {**os.environ, **ascii_only}  # Python's own option wins over what it is started anew with
    command = [sys.executable, "-X", "utf8=0", "-m", "slts.cli", "--version"]
    subprocess.run(command, env=forbidden, timeout=300, check=True)


INTERRUPTED_AMONG_IMPORTS = """
import sys

module = sys.argv[1]

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from slts.cli import main
sys.argv[:] = ["slts", "score", "reference=a", "generated=b"]
main()
"""


@pytest.mark.parametrize("module", ["hydra", "torch"])
def test_ctrl_c_among_the_imports_is_one_line(module):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_AMONG_IMPORTS, module], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "slts score: interrupted\n")
