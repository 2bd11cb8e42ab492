"""What the score command says of folders in which something is doubtful."""

import csv
import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from conftest import slts
from metric_clips import speech_like

from slts.reporting.sensitivity import delayed


def write(file: Path, audio: np.ndarray, rate: int = 16000) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, audio, rate)


def write_m4a(file: Path, audio: np.ndarray) -> None:
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def score(reference: Path, generated: Path, *keys: str) -> tuple[dict[str, dict], dict, str]:
    """Rows by stem, the JSON summary, and all that was printed."""
    out = reference.parent / "scores.csv"
    done = slts("score", f"reference={reference}", f"generated={generated}", f"out={out}", "workers=1", *keys)
    rows = {row["stem"]: row for row in csv.DictReader(out.open())}
    return rows, json.loads(done.stdout.splitlines()[-1]), done.stdout


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score")
    reference, generated = folder / "reference", folder / "generated"
    audio = speech_like(0)
    for stem in ("same", "half", "late", "telephone", "coded", "pipe", "strange", "s1/linked", "broken_link"):
        write(reference / f"{stem}.wav", audio)
    write(generated / "same.wav", audio)
    write(generated / "half.wav", audio[: len(audio) // 2])
    write(generated / "late.wav", delayed(audio, 4800))
    write(generated / "telephone.wav", soxr.resample(audio, 16000, 8000), 8000)
    write_m4a(generated / "coded.m4a", audio)
    os.mkfifo(generated / "pipe.wav")
    (generated / "strange.xyz").write_bytes(b"sound of another kind")
    (generated / "notes.txt").write_text("not audio")
    write(folder / "elsewhere" / "linked.wav", audio)
    (generated / "s1").symlink_to(folder / "elsewhere")
    (generated / "broken_link.wav").symlink_to("nowhere.wav")
    metrics = "metrics=[stoi,mcd,stoi_whole,mcd_whole,a_stoi,frontend_offset_ms]"
    return score(reference, generated, metrics)


def test_a_sound_that_breaks_off_costs_over_the_whole_length_and_is_counted(scored):
    rows, summary, said = scored
    half = rows["half"]
    assert float(half["generated_s"]) == pytest.approx(float(half["reference_s"]) / 2)
    assert float(half["stoi"]) > 0.999 and float(half["stoi_whole"]) < 0.7 < 10 < float(half["mcd_whole"])
    assert rows["same"]["stoi_whole"] == rows["same"]["stoi"]
    assert (summary["durations_differ"], summary["durations_differ_stems"]) == (1, ["half"])
    assert "durations differ by more than 10% in 1 pairs (half)" in said
    assert {"reference_s", "frontend_at_edge"}.isdisjoint(summary["means"])


def test_an_offset_at_the_edge_is_said_and_counted(scored):
    rows, summary, said = scored
    assert (summary["frontend_at_edge"], summary["frontend_at_edge_stems"]) == (1, ["late"])
    assert (rows["late"]["frontend_at_edge"], rows["same"]["frontend_at_edge"]) == ("True", "False")
    assert "the offset found is +-300 ms, where the search ends, in 1 pairs (late)" in said


def test_low_rates_are_one_line(scored):
    _, summary, said = scored
    assert summary["below_16_khz"] == {"reference": {}, "generated": {"8000": 1}}
    assert "files below 16 kHz, which hold nothing above half their rate: 1 generated (8000 Hz)" in said


def test_what_is_not_read_is_named_and_links_are_followed(scored):
    rows, summary, said = scored
    assert float(rows["coded"]["stoi"]) > 0.95 and rows["s1/linked"]["stoi"] == rows["same"]["stoi"]
    assert summary["not_read"] == {
        "reference": {},
        "generated": {
            "broken_link.wav": "no such file or directory",
            "notes.txt": ".txt is not a format that is read",
            "pipe.wav": "a pipe, socket or device, not a file",
            "strange.xyz": ".xyz is not a format that is read",
        },
    }
    assert "not read are 4 files: broken_link.wav: no such file" in said
    reasons = {stem: row["reason"] for stem, row in rows.items() if row["reason"]}
    assert reasons == {
        "broken_link": "generated: no such file or directory",
        "pipe": "generated: a pipe, socket or device, not a file",
        "strange": "generated: .xyz is not a format that is read",
    }
    assert summary["failed_stems"] == sorted(reasons)


def test_folders_without_a_doubt_say_nothing(tmp_path):
    for side in ("reference", "generated"):
        write(tmp_path / side / "a.wav", speech_like(0))
    _, summary, said = score(tmp_path / "reference", tmp_path / "generated", "metrics=[mcd]")
    assert len(said.splitlines()) == 2
    assert (summary["durations_differ"], summary["frontend_at_edge"]) == (0, 0)


def test_the_lengths_that_failed(cases, tmp_path):
    folder = cases / "score" / "length"
    out = tmp_path / "scores.csv"
    done = slts("score", f"reference={folder}/ref", f"generated={folder}/gen", f"out={out}", "workers=1")
    summary = json.loads(done.stdout.splitlines()[-1])
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == summary["durations_differ"] == 2
    for row in rows:
        assert 0 < float(row["generated_s"]) < 0.9 * float(row["reference_s"])
        assert float(row["stoi_whole"]) < 0.8 and float(row["estoi_whole"]) < 0.8 and float(row["pesq_whole"]) < 4


def test_the_m4a_that_was_not_found(cases, tmp_path):
    folder, out = cases / "score" / "m4a", tmp_path / "scores.csv"
    keys = f"reference={folder}/ref", f"generated={folder}/gen", f"out={out}", "workers=1"
    slts("score", *keys, "metrics=[stoi]")
    assert all(float(row["stoi"]) > 0.98 and not row["reason"] for row in csv.DictReader(out.open()))
