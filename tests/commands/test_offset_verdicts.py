"""``slts offsets`` of videos without a run: verdicts, JSON, the page and repair, with an estimator of drawn talkers."""

import contextlib
import csv
import io
import json
import re
from pathlib import Path

import pytest
from envelope_talker import envelope_run, talker

from slts.cli import run
from slts.offsets import alignment


@pytest.fixture
def shipped(monkeypatch):
    monkeypatch.setattr(alignment, "load_shipped", envelope_run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of four talkers and two files that cannot be measured."""
    videos = tmp_path_factory.mktemp("videos")
    talker(videos / "good.mp4", 4, lambda s: 0.01, codecs=("libx264", "aac"))
    talker(videos / "late <b>.mkv", 4, lambda s: 0.12, voice=1)
    talker(videos / "drifting.mkv", 40, lambda s: -0.02 + 0.0018 * s, voice=2)
    talker(videos / "wrong.mkv", 4, lambda s: 0, voice=3, face=8)
    talker(videos / "silent.mkv", 4, lambda s: 0, silent=True)
    (videos / "broken.mp4").write_bytes(b"not a video")
    return videos


def command(*arguments) -> tuple[int, str, str]:
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = run("offsets", [str(argument) for argument in arguments])
    return status, said.getvalue(), complained.getvalue()


def quoted(path: Path) -> str:
    return f'"{path}"'


def test_a_folder_is_measured_to_its_end(shipped, folder, tmp_path):
    status, said, _ = command(f"data={folder}", f"out={tmp_path}/o.csv")
    rows = {row["key"]: row for row in csv.DictReader((tmp_path / "o.csv").open())}
    assert status == 0 and set(rows) == {path.stem for path in folder.iterdir()}
    assert {key for key, row in rows.items() if row["sure"] == "True"} == {"good", "late <b>", "drifting"}
    assert float(rows["late <b>"]["offset_ms"]) == pytest.approx(120, abs=15)
    assert rows["drifting"]["course"] == "drift"
    assert float(rows["drifting"]["drift_ms_per_minute"]) == pytest.approx(108, abs=15)
    for key, word in {"wrong": ("unsure", "beyond"), "silent": ("silence",), "broken": ("unreadable",)}.items():
        assert rows[key]["offset_ms"] == "" and rows[key]["cannot_tell"].startswith(word)
        assert any(key in line and "cannot tell" in line for line in said.splitlines())
    assert "late <b>.mkv: +1" in said and "the video lags the audio" in said


@pytest.mark.parametrize(
    ("name", "standard", "status", "word"),
    [
        ("good.mp4", "atsc", 0, "PASS"),
        ("late <b>.mkv", "ebu_r37", 1, "FAIL"),
        ("late <b>.mkv", "itu_bt1359", 1, "FAIL"),
        ("silent.mkv", "ebu_r37", 3, "CANNOT TELL"),
        ("wrong.mkv", "ebu_r37", 3, "CANNOT TELL"),
    ],
)
def test_the_exit_status_is_the_verdict(shipped, folder, tmp_path, name, standard, status, word):
    found, said, _ = command(f"data={quoted(folder / name)}", f"standard={standard}", f"out={tmp_path}/o.csv")
    assert found == status and f": {word}" in said


def test_json_is_one_object_a_file_and_nothing_else(shipped, folder, tmp_path):
    status, said, complained = command(f"data={folder}", "standard=ebu_r37", "json=true", f"out={tmp_path}/o.csv")
    objects = {one["key"]: one for one in map(json.loads, said.splitlines())}
    assert status == 1 and set(objects) == {path.stem for path in folder.iterdir()} and "median" in complained
    verdicts = {key: one["verdict"] for key, one in objects.items()}
    assert verdicts == {"good": "PASS", "late <b>": "FAIL", "drifting": "FAIL", "wrong": "CANNOT TELL",
                        "silent": "CANNOT TELL", "broken": "CANNOT TELL"}  # fmt: skip
    assert objects["drifting"]["beyond_seconds"] and len(objects["drifting"]["windows"]) > 10
    assert objects["silent"]["offset_ms"] is None and objects["silent"]["worst_ms"] is None


def test_the_page_holds_all_and_runs_nothing(shipped, folder, tmp_path):
    page = tmp_path / "pages" / "report.html"
    command(f"data={folder}", "standard=ebu_r37", f"report={page}", f"out={tmp_path}/o.csv")
    text = page.read_text()
    assert "<script" not in text and "http" not in text and "late <b>" not in text and "late &lt;b&gt;" in text
    links = re.findall(r'<video [^>]*src="([^"]*)"', text)
    assert len(links) == len(list(folder.iterdir())) and all(not link.startswith("/") for link in links)
    from urllib.parse import unquote

    assert all((page.parent / unquote(link)).is_file() for link in links)
    assert text.count("<svg") == 1 and text.count("<circle") > 10  # of the long one, a dot a window
    assert re.search(r"<title>20.0 s: \+\d+ ms, confidence [01]\.\d\d</title>", text)
    assert "1 PASS, 2 FAIL, 3 CANNOT TELL" in text


def test_sources_are_not_overwritten_by_page_or_picture(shipped, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    status, _, complained = command(f"data={folder}", f"report={folder}/good.mp4", f"out={tmp_path}/o.csv")
    assert status == 2 and "never overwritten" in complained
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_is_repaired_and_measured_again(shipped, folder, tmp_path):
    out = tmp_path / "mended"
    status, said, _ = command("action=apply", f"data={folder}", f"out={out}")
    assert status == 0 and {path.name for path in out.iterdir() if path.suffix != ".json"} == {
        "good.mp4", "late <b>.mkv", "drifting.mkv"}  # fmt: skip
    assert any("silent" in line and "left out" in line for line in said.splitlines())
    status, said, _ = command(f"data={out}", "standard=atsc", f"out={tmp_path}/o.csv")
    assert status == 0, said
    assert "nothing done" in command("action=apply", f"data={folder}", f"out={out}")[1]


@pytest.mark.parametrize("key", ["standard=ebu_r37", "report=x.html"])
def test_keys_of_videos_are_refused_elsewhere(folder, tmp_path, key):
    (tmp_path / "corpus.json").write_text("{}")
    for arguments in ([f"data={tmp_path}", "run=x"], [f"data={folder}", "action=apply", f"out={tmp_path}/o", "run=x"]):
        status, _, complained = command(*arguments, key)
        assert status == 2 and "is for the offsets of videos" in complained
