"""The real command on small folders."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from metric_clips import delayed, speech_like

from slts.config import compose
from slts.errors import UserError
from slts.score import main, read_audio


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
    done = subprocess.run(
        [sys.executable, "-m", "slts.cli", "score", *keys, "metrics=[stoi,mcd,a_stoi,a_mcd,frontend_offset_ms]"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
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
    ]:
        with pytest.raises(UserError, match=message):
            run(*overrides)
    write(generated / "copy.wav", speech_like(0))
    with pytest.raises(UserError, match=r"copy\.flac and copy\.wav .* share a stem"):
        run(*given)
