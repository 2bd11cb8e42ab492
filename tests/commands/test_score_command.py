"""The real command on small folders."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import slts
from metric_clips import speech_like

from slts.commands.score import main
from slts.config import compose
from slts.errors import UserError
from slts.evaluation.sounds import read_audio
from slts.metrics.scoring import FACTS
from slts.reporting.sensitivity import delayed


def write(file: Path, audio: np.ndarray, rate: int = 16000, **options) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, audio, rate, **options)


@pytest.fixture
def folders(tmp_path):
    reference, generated = tmp_path / "reference", tmp_path / "generated"
    audio = speech_like(0)
    for stem in ("copy", "late", "s1/deep", "silent", "nan", "stereo48k", "no_partner", "damaged", "empty"):
        write(reference / f"{stem}.wav", audio)
    write(generated / "copy.flac", audio)
    write(generated / "late.wav", delayed(audio, 640), subtype="FLOAT")
    write(generated / "s1/deep.ogg", audio)
    write(generated / "silent.wav", audio * 0)
    write(generated / "nan.wav", np.where(np.arange(len(audio)) == 9, np.nan, audio), subtype="FLOAT")
    write(generated / "stereo48k.wav", np.stack([soxr.resample(audio, 16000, 48000)] * 2, 1)[:120000], 48000)
    (generated / "damaged.wav").write_bytes(b"RIFF not a sound")
    write(generated / "empty.wav", audio[:0])
    write(generated / "extra.wav", audio)
    (generated / "notes.txt").write_text("not audio")
    return reference, generated


def run(*overrides: str) -> None:
    main(compose("score", list(overrides))[0])


def test_the_command_scores_what_it_can_and_names_the_rest(folders, tmp_path):
    reference, generated = folders
    out = tmp_path / "new" / "scores.csv"
    keys = f"reference={reference}", f"generated={generated}", f"out={out}", "workers=2"
    done = slts("score", *keys, "metrics=[stoi,mcd,a_stoi,a_mcd,frontend_offset_ms]")
    rows = {row["stem"]: row for row in csv.DictReader(out.open())}
    assert sorted(rows) == sorted(
        ["copy", "damaged", "empty", "extra", "late", "nan", "no_partner", "s1/deep", "silent", "stereo48k"]
    )
    reasons = {stem: row["reason"] for stem, row in rows.items() if row["reason"]}
    assert reasons == {
        "damaged": "generated: unreadable audio file",
        "empty": "generated audio is empty",
        "extra": "no reference file",
        "nan": "generated audio is not finite",
        "no_partner": "no generated file",
        "silent": "generated audio is silent",
    }
    assert all(rows[stem]["stoi"] == rows[stem]["a_mcd"] == "" for stem in reasons)
    # soundfile rounds to 16 bits differently in WAV and FLAC.
    assert float(rows["copy"]["mcd"]) < 1 and float(rows["copy"]["stoi"]) == pytest.approx(1, abs=1e-4)
    assert float(rows["late"]["frontend_offset_ms"]) == 40
    assert float(rows["late"]["stoi"]) < 0.9 < 0.999 < float(rows["late"]["a_stoi"])
    assert float(rows["stereo48k"]["stoi"]) > 0.999

    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["clips"], summary["failed"], summary["failures"]["stoi"]) == (10, 6, 6)
    assert summary["failed_stems"] == sorted(reasons)
    assert sum(summary["reasons"].values()) == 6
    assert summary["pesq"] == "narrow band, 16 kHz input" and "soxr" in summary["versions"]
    scored = [float(row["a_stoi"]) for row in rows.values() if row["a_stoi"]]
    assert summary["means"]["a_stoi"] == pytest.approx(np.mean(scored))
    assert [file.name for file in out.parent.iterdir()] == ["scores.csv"]


def test_values_where_defined_and_reasons_elsewhere(tmp_path):
    """Rates, clipping, lengths seconds apart, too little speech: through the real command, every metric."""
    reference, generated = tmp_path / "reference", tmp_path / "generated"
    audio = speech_like(0)
    late = delayed(audio, 320)
    sides = {
        "clipped": (audio, np.clip(20 * audio, -1, 1), 16000),
        "at_8k": (audio, soxr.resample(late, 16000, 8000), 8000),
        "at_48k_stereo": (audio, np.stack([soxr.resample(late, 16000, 48000)] * 2, 1), 48000),
        "seconds_longer": (audio[:24000], np.concatenate([audio, audio]), 16000),
        "half_a_second": (audio[20000:29500], audio[20000:29500], 16000),
        "few_stoi_frames": (audio[20000:26000], audio[20000:26000], 16000),
        "click": (np.eye(1, 16000, 200)[0] * 0.5, np.eye(1, 16000, 200)[0] * 0.5, 16000),
        "reference_silent": (audio * 0, audio, 16000),
    }
    for stem, (first, second, rate) in sides.items():
        write(reference / f"{stem}.wav", first, subtype="FLOAT")
        write(generated / f"{stem}.wav", second, rate, subtype="FLOAT")
    out = tmp_path / "scores.csv"
    keys = f"reference={reference}", f"generated={generated}", f"out={out}", "workers=1"
    done = slts("score", *keys, "pesq_mode=nb8k")
    rows = {row["stem"]: row for row in csv.DictReader(out.open())}
    scores = [name for name in rows["click"] if name not in ("stem", "pesq_mode", "reason", *FACTS)]
    blank = {stem: {name for name in scores if not row[name]} for stem, row in rows.items()}
    aligned = {"a_stoi", "a_estoi", "a_pesq", "a_mcd", "frontend_offset_ms", "refined_offset_ms"}
    assert blank == {
        "clipped": set(),
        "at_8k": set(),
        "at_48k_stereo": set(),
        "seconds_longer": set(),
        "half_a_second": aligned,
        "few_stoi_frames": aligned | {"stoi", "estoi", "stoi_whole", "estoi_whole"},
        "click": {"stoi", "estoi", "stoi_whole", "estoi_whole", "a_stoi", "a_estoi"},
        "reference_silent": set(scores),
    }
    assert all(bool(row["reason"]) == bool(blank[stem]) for stem, row in rows.items())
    assert "under 30 frames of speech for STOI (stoi estoi stoi_whole estoi_whole)" in rows["few_stoi_frames"]["reason"]
    assert rows["reference_silent"]["reason"] == "reference audio is silent"
    assert all(float(row[name]) > 1e-3 for row in rows.values() for name in ("stoi", "a_stoi") if row[name])
    assert {rows[stem]["frontend_offset_ms"] for stem in ("at_8k", "at_48k_stereo")} == {"20.0"}
    assert rows["seconds_longer"]["frontend_offset_ms"] == "0.0"
    assert {row["pesq_mode"] for row in rows.values()} == {"nb8k"}
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["failures"]["stoi"] == 3 and summary["failed"] == 4
    assert summary["reasons"]["under 600 ms of audio for alignment"] == 2
    assert summary["pesq"] == "narrow band, input resampled to 8 kHz"
    assert summary["means"]["stoi"] == pytest.approx(np.mean([float(r["stoi"]) for r in rows.values() if r["stoi"]]))


def test_opinion_scores_of_a_table(tmp_path, capsys):
    """Table 4: real voice at 4.975 +- 0.028, vocoded output with 12 raters x 10 clips."""
    lines = [f"{rater},{clip},real,naturalness,{4 if rater + clip == 0 or (rater == 11 and clip > 7) else 5}"
             for rater in range(12) for clip in range(10)]  # fmt: skip
    (tmp_path / "ratings.csv").write_text("\n".join(["rater,clip,system,aspect,score", *lines]))
    run(f"ratings={tmp_path}/ratings.csv", f"out={tmp_path}/mos.csv")
    (row,) = csv.DictReader((tmp_path / "mos.csv").open())
    assert (row["system"], round(float(row["mean"]), 3), round(float(row["interval"]), 3)) == ("real", 4.975, 0.028)
    assert (row["ratings"], row["raters"], row["clips"]) == ("120", "12", "10")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["opinion"][0]["mean"] == pytest.approx(4.975)


def test_offsets_against_syncnets(tmp_path, capsys):
    """Reference 0, 40 (a third is not confident, a fourth missing); predicted 10, 40: R2 = 1 - 100 / 800."""
    (tmp_path / "syncnet.csv").write_text("key,offset_ms,confidence\na,0,5\nb,40,3.5\nc,-600,3.0\nz,0,9\n")
    (tmp_path / "dsm.csv").write_text("key,offset_ms,confidence\na,10,0.2\nb,40,0.9\nc,0,0.9\nd,10,0.9\n")
    files = f"offsets={tmp_path}/dsm.csv", f"reference_offsets={tmp_path}/syncnet.csv", f"out={tmp_path}/agreement.csv"
    run(*files)
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: report[name] for name in ("clips", "not_confident", "without_reference")} == {
        "clips": 2,
        "not_confident": 1,
        "without_reference": 1,
    }
    assert report["r2"] == pytest.approx(1 - 100 / 800)
    assert (report["bias_ms"], report["mae_ms"], report["within_10ms"]) == (5, 5, 1)
    run(*files, "above_confidence=1")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["clips"] == 3
    with pytest.raises(UserError, match="no key has an offset"):
        run(*files, "above_confidence=20")


def test_any_rate_and_channel_count_becomes_16_khz_mono(tmp_path):
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    write(tmp_path / "tone.wav", np.stack([tone, np.zeros(8000)], 1), 8000)
    audio = read_audio(tmp_path / "tone.wav")
    assert audio.dtype == np.float32 and audio.shape == (16000,)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(audio - expected)[500:-500].max() < 1e-3


def test_mistakes_are_named(folders, tmp_path):
    reference, generated = folders
    given = f"reference={reference}", f"generated={generated}"
    (tmp_path / "bare").mkdir()
    write(tmp_path / "other" / "unknown.wav", speech_like(0))
    (tmp_path / "file").write_text("")
    for overrides, message in [
        (("reference=/nowhere", given[1]), "reference=/nowhere: no such folder"),
        ((given[0], f"generated={tmp_path / 'bare'}"), "no audio file"),
        ((given[0], f"generated={tmp_path / 'other'}"), "no file has the stem"),
        ((*given, "metrics=[stoi,wer]"), "unknown wer; choose from stoi"),
        ((*given, "metrics=[]"), "metrics: empty"),
        ((*given, f"out={tmp_path}/file/scores.csv"), "cannot write there"),
        ((*given, f"out={tmp_path}"), "cannot write there"),
        ((*given, "pesq_mode=wide"), "pesq_mode=wide"),
        ((given[0],), "generated=... is required"),
        ((), "reference=... is required"),
        ((*given, "ratings=mos.csv"), "reference and ratings are scored apart"),
        (("ratings=/nowhere.csv",), "ratings=/nowhere.csv: No such file"),
        ((f"ratings={reference}/copy.wav",), "ratings=.*copy.wav: "),
        (("offsets=a.csv",), "reference_offsets=... is required"),
    ]:
        with pytest.raises(UserError, match=message):
            run(*overrides)
    write(generated / "copy.wav", speech_like(0))
    with pytest.raises(UserError, match=r"copy\.flac and copy\.wav .* share a stem"):
        run(*given)


def test_no_source_is_overwritten_by_the_table(folders, tmp_path):
    reference, generated = folders
    keys = f"reference={reference}", f"generated={generated}", "metrics=[stoi]", "workers=1"
    (tmp_path / "link.csv").symlink_to(generated / "copy.flac")
    table = tmp_path / "o.csv"
    table.write_text("key,offset_ms\na,1\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out in (reference / "copy.wav", tmp_path / "link.csv"):
        with pytest.raises(UserError, match="never overwritten"):
            run(*keys, f"out={out}")
    with pytest.raises(UserError, match="never overwritten"):
        run(f"offsets={table}", f"reference_offsets={table}", f"out={table}")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_file_beside_the_table_is_left_alone(tmp_path):
    (tmp_path / "o.csv").write_text("key,offset_ms\na,1\nb,2\n")
    (tmp_path / "scores.csv.part").write_text("somebody's")
    run(f"offsets={tmp_path}/o.csv", f"reference_offsets={tmp_path}/o.csv", f"out={tmp_path}/scores.csv")
    assert (tmp_path / "scores.csv.part").read_text() == "somebody's"
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3


def test_a_name_that_is_not_utf8_is_scored_and_written_escaped(tmp_path):
    name = os.fsdecode(b"\xff\xfe.wav")
    for side in ("a", "b"):
        write(tmp_path / side / "x.wav", speech_like(0))
        (tmp_path / side / "x.wav").rename(tmp_path / side / name)
    out = tmp_path / "scores.csv"
    slts("score", f"reference={tmp_path}/a", f"generated={tmp_path}/b", f"out={out}", "workers=1", "metrics=[stoi]")
    [row] = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert row["stem"] == r"\udcff\udcfe" and float(row["stoi"]) == pytest.approx(1)
