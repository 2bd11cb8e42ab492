"""slts generate and the names of videos: every video its own output, no source ever overwritten."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from flash_and_beep import beep, flash_frames, write_video

from slts.cli import run
from slts.data.media import read_clip
from slts.files import UNFINISHED

CASES = Path(os.environ.get("SLTS_CASES", ROOT.parent / "shared" / "cases"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> dict[str, bytes]:
    """Videos with sound, as bytes by suffix."""
    folder = tmp_path_factory.mktemp("recorded")
    sound = beep(1, 0.4)
    for suffix, codecs in {"mp4": ("libx264", "aac"), "mkv": ("mpeg4", "pcm_s16le")}.items():
        write_video(folder / f"a.{suffix}", flash_frames(1, 0.4), sound, codecs=codecs)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


def lay(folder: Path, recorded: dict[str, bytes], *names: str) -> dict[Path, bytes]:
    """Videos of these names below ``folder``; what is in them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(recorded[Path(name).suffix])
    return {folder / name: recorded[Path(name).suffix] for name in names}


def command(*arguments: str) -> tuple[int, str]:
    """``slts ...`` in this process: its exit status, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run(arguments[0], [str(argument) for argument in arguments[1:]])
    return status, said.getvalue()


def speak(run: Path, given: Path, out: Path) -> tuple[int, str]:
    speaker = "speaker=" + _speakers(run)[0]
    return command("generate", f"run={run}", f"input={given}", f"out={out}", "faces=none", speaker)


def _speakers(run: Path) -> list[str]:
    return json.loads((run / "corpus.json").read_text())["speakers"]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_subfolders_are_kept_and_every_video_has_its_own_outputs(speaking, recorded, tmp_path):
    given, out = tmp_path / "in", tmp_path / "out"
    names = ("a/clip.mp4", "b/clip.mp4", "b/clip.mkv", "b/clip.mkv.mp4", "top.mkv", ".hidden/x.mp4", "._top.mp4")
    before = lay(given, recorded, *names)
    status, said = speak(speaking, given, out)
    assert status == 0 and "5 of 5 videos" in said
    stems = ("a/clip", "b/clip.mp4", "b/clip.mkv", "b/clip.mkv.mp4", "top")
    assert files(out) == {f"{stem}.{suffix}" for stem in stems for suffix in ("wav", "mp4")}
    for stem in stems:
        audio, rate = soundfile.read(out / f"{stem}.wav")
        assert rate == len(audio) == 16000
        assert len(read_clip(out / f"{stem}.mp4").frames) == 25
    assert all(path.read_bytes() == content for path, content in before.items())
    assert speak(speaking, given, out)[0] == 0  # again: its own outputs may be replaced


@pytest.mark.parametrize("way", ["folder", "link to the folder", "linked file", "hard link"])
def test_no_source_is_overwritten(way, speaking, recorded, tmp_path):
    given, out = tmp_path / "in", tmp_path / "out"
    before = lay(given, recorded, "clip.mp4", "more.mkv")
    if way == "folder":
        out = given
    elif way == "link to the folder":
        out.symlink_to(given)
    else:
        out.mkdir()
        link = os.symlink if way == "linked file" else os.link
        link(given / "clip.mp4", out / "clip.mp4")
    there = files(tmp_path)
    status, said = speak(speaking, given, out)
    assert status == 2 and "is the source" in said and "never overwritten" in said and len(said.splitlines()) == 1
    assert all(path.read_bytes() == content for path, content in before.items()) and files(tmp_path) == there


def test_a_recording_beside_its_video_is_not_overwritten(speaking, recorded, tmp_path):
    lay(tmp_path, recorded, "clip.mkv")
    (tmp_path / "clip.wav").write_bytes(b"recorded")
    status, said = speak(speaking, tmp_path / "clip.mkv", tmp_path)
    assert status == 2 and "clip.wav lies beside" in said and (tmp_path / "clip.wav").read_bytes() == b"recorded"
    (tmp_path / "clip.wav").unlink()
    assert speak(speaking, tmp_path / "clip.mkv", tmp_path)[0] == 0
    assert files(tmp_path) == {"clip.mkv", "clip.wav", "clip.mp4"}


def test_a_full_disk_is_one_line_and_leaves_whole_files(speaking, recorded, tmp_path):
    """Files of at most 36 kB: the sound of a second fits, its video of noise does not."""
    given, out = tmp_path / "clip.mp4", tmp_path / "out"
    noise = np.random.default_rng(0).integers(0, 256, (25, 128, 128, 3), np.uint8)
    write_video(given, noise, beep(1, 0.4), codecs=("libx264", "aac"))
    before = given.read_bytes()
    assert len(before) > 50_000
    arguments = f"run={speaking} input={given} out={out} faces=none speaker={_speakers(speaking)[0]}"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 36; exec {sys.executable} -m slts.cli generate {arguments}"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "ulimit -f" in done.stderr, done.stderr
    assert files(out) == {"clip.wav"} and given.read_bytes() == before


def test_a_kill_while_the_video_is_written_leaves_none(speaking, recorded, tmp_path):
    lay(tmp_path, recorded, "in/clip.mp4")
    code = (
        "import os, signal; from slts.cli import run\n"
        "import slts.data.media.muxing as muxing\n"
        "def kill(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "muxing.Fraction = kill  # once the pictures are written\n"
        f"run('generate', ['run={speaking}', 'input={tmp_path}/in', 'out={tmp_path}/out', 'faces=none',"
        f" 'speaker={_speakers(speaking)[0]}'])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == -9
    assert {path for path in (tmp_path / "out").iterdir()} - set((tmp_path / "out").glob(UNFINISHED)) == {
        tmp_path / "out" / "clip.wav"
    }


def test_equal_stems_of_the_failing_case(speaking, tmp_path):
    if not (CASES / "same_stem").is_dir():
        pytest.skip("no folder of failing cases")
    shutil.copytree(CASES / "same_stem", tmp_path / "in")
    status, said = speak(speaking, tmp_path / "in", tmp_path / "out")
    assert status == 0 and "2 of 2" in said
    assert files(tmp_path / "out") == {f"{folder}/clip.{suffix}" for folder in "ab" for suffix in ("wav", "mp4")}
    table = tmp_path / "o.csv"
    command("offsets", f"run={speaking}", f"data={tmp_path}/in", f"out={table}", "faces=none")
    with table.open() as stream:
        assert [row["key"] for row in csv.DictReader(stream)] == ["a/clip", "b/clip"]


def test_videos_that_differ_in_suffix_are_estimated_and_repaired_apart(speaking, recorded, tmp_path):
    given, out, table = tmp_path / "in", tmp_path / "out", tmp_path / "o.csv"
    before = lay(given, recorded, "clip.mp4", "clip.mkv", "b/clip.mp4")
    status, _ = command("offsets", f"run={speaking}", f"data={given}", f"out={table}", "faces=none")
    with table.open() as stream:
        assert sorted(row["key"] for row in csv.DictReader(stream)) == ["b/clip", "clip.mkv", "clip.mp4"]
    assert status == 0
    table.write_text("key,offset_ms\nclip.mp4,120\nclip.mkv,-80\nb/clip,40\n")
    status, said = command("offsets", "action=apply", f"data={given}", f"offsets={table}", f"out={out}")
    assert status == 0, said
    assert {name for name in files(out) if not name.endswith(".json")} == {"clip.mp4", "clip.mkv", "b/clip.mp4"}
    moved = {
        name: json.loads((out / f"{name}.repair.json").read_text())["offset_ms"] for name in ("clip.mp4", "clip.mkv")
    }
    assert moved == {"clip.mp4": 120, "clip.mkv": -80}
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("out", ["in/clip.mp4", "in/link.mp4", "in/x.png"])
def test_an_estimate_is_not_written_over_what_it_measures(out, speaking, recorded, tmp_path):
    before = lay(tmp_path, recorded, "in/clip.mp4")
    (tmp_path / "in" / "link.mp4").symlink_to(tmp_path / "in" / "clip.mp4")
    for data in ("in", "in/clip.mp4"):
        status, said = command("offsets", f"run={speaking}", f"data={tmp_path}/{data}", f"out={tmp_path}/{out}")
        assert status == 2 and len(said.splitlines()) == 1, said
    assert all(path.read_bytes() == content for path, content in before.items())


def test_shards_are_not_written_over_by_the_estimate_of_their_offsets(speaking, tiny_corpus, tmp_path):
    data = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    before = (data / "corpus.json").read_bytes()
    status, said = command("offsets", f"run={speaking}", f"data={data}", f"out={data}/corpus.json")
    assert status == 2 and "never overwritten" in said and (data / "corpus.json").read_bytes() == before


def test_an_evaluation_without_its_cluster_is_refused_before_it_generates(speaking):
    before = sorted(speaking.iterdir())
    status, said = command("evaluate", f"run={speaking}", "engine=ray", "address=localhost:1")
    assert status == 2 and "address=localhost:1: no cluster there" in said and len(said.splitlines()) == 1
    assert sorted(speaking.iterdir()) == before
