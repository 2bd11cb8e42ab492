"""Files are there whole or not at all, and never in the place of a source."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from slts.errors import UserError
from slts.files import UNFINISHED, is_unfinished, refuse_sources, whole_file, write_whole


def half_written(path: Path, end: str) -> int:
    """A process writes half of a file, then does ``end``. Returns its exit status."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom slts.files import whole_file\n"
        f"with whole_file(Path({str(path)!r})) as file:\n    file.write(b'half'); file.flush()\n    {end}\n"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode


@pytest.mark.parametrize("before", [None, b"as it was"])
def test_a_process_killed_in_the_middle_leaves_what_was_there(before, tmp_path):
    path = tmp_path / "new" / "a.mp4"
    if before:
        write_whole(path, before)
    assert half_written(path, "os.kill(os.getpid(), signal.SIGKILL)") == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == before
    [left] = path.parent.glob(UNFINISHED)
    assert is_unfinished(left) and not is_unfinished(path) and left.suffix == ".mp4"
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_a_failure_in_the_middle_leaves_nothing_behind(tmp_path):
    write_whole(tmp_path / "a", b"as it was")
    with pytest.raises(OSError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise OSError
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"as it was"


def test_a_file_too_large_for_the_disk_is_a_disk_fault(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    assert half_written(tmp_path / "a", f"{limit}; file.write(bytes(200))") == 1
    assert not list(tmp_path.iterdir())


def test_names_as_long_as_names_may_be_and_usual_permissions(tmp_path):
    for name in ("x" * 251 + ".mp4", "日" * 83 + ".wav"):
        write_whole(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
    mask = os.umask(0o022)
    write_whole(tmp_path / "shared", b"")
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o644


def test_a_source_is_refused_by_whatever_name(tmp_path):
    source, folder = tmp_path / "a" / "clip.mp4", tmp_path / "linked"
    write_whole(source, b"recorded")
    folder.symlink_to(source.parent)
    (tmp_path / "soft.mp4").symlink_to(source)
    (tmp_path / "hard.mp4").hardlink_to(source)
    for output in (source, folder / "clip.mp4", tmp_path / "soft.mp4", tmp_path / "hard.mp4"):
        with pytest.raises(UserError, match=r"is the source.* never overwritten") as refusal:
            refuse_sources([tmp_path / "other", output], [tmp_path / "gone", source])
        assert str(output) in str(refusal.value) and "\n" not in str(refusal.value)
    refuse_sources([tmp_path / "other", tmp_path / "a" / "clip.wav"], [source])
