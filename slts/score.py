"""Score a folder of generated speech against a folder of reference speech, plain and time-aligned.

  slts score reference=DIR generated=DIR out=scores.csv

Any sample rate, length and number of channels: channels are averaged, soxr (HQ) resamples to 16 kHz. Leaves one CSV row
a pair; the last line of standard output is a JSON object of means, 95 % bootstrap intervals and failures with reasons.

Two tables can be scored instead:

  slts score ratings=ratings.csv out=mos.csv
    mean opinion score of each system and aspect with its 95 % t interval
  slts score offsets=dsm.csv reference_offsets=syncnet.csv out=agreement.csv
    Offset-R2 (the reference's spread is the denominator), bias, MAE and share within 10 ms
"""

import csv
import json
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
import soxr
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from slts import __version__
from slts.audio import SAMPLE_RATE
from slts.errors import UserError
from slts.folders import files_below, printable
from slts.metrics import METRICS, Undefined, offset_agreement, score_pairs, summarise
from slts.metrics.offsets import read_offsets
from slts.metrics.opinion import opinion_table, read_ratings
from slts.metrics.quality import PESQ_MODES
from slts.recognition.error_rate import hear, summarise_words, table_columns
from slts.recognition.recogniser import load_recognisers
from slts.recognition.speech import read_text_table

SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {".aif", ".oga", ".opus"}
LIBRARIES = (
    "numpy",
    "scipy",
    "torch",
    "pesq",
    "python_speech_features",
    "soundfile",
    "soxr",
    "jiwer",
    "openai-whisper",
)


def read_audio(file: Path) -> np.ndarray:
    """Mono audio (N,) float32 at 16 kHz from any file that soundfile reads. Raises Undefined if it cannot."""
    try:
        samples, rate = soundfile.read(os.fsencode(file), dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        raise Undefined("unreadable audio file") from None
    mono = samples.mean(1)
    return mono if rate == SAMPLE_RATE or not mono.size else soxr.resample(mono, rate, SAMPLE_RATE)


def read_pair(reference: Path | None, generated: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a pair. Raises Undefined if one is missing or unreadable."""
    audio = []
    for name, file in (("reference", reference), ("generated", generated)):
        if file is None:
            raise Undefined(f"no {name} file")
        try:
            audio.append(read_audio(file))
        except Undefined as reason:
            raise Undefined(f"{name}: {reason}") from None
    return audio[0], audio[1]


def audio_files(key: str, folder: Path) -> dict[str, Path]:
    """The audio files at any depth below a folder, by relative path without suffix. Raises UserError if none."""
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: no such folder")
    found: dict[str, Path] = {}
    for file in files_below(folder):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            stem = printable(file.relative_to(folder).with_suffix("").as_posix())
            if stem in found:
                raise UserError(f"{key}: {found[stem].name} and {file.name} in {file.parent} share a stem; keep one")
            found[stem] = file
    if not found:
        raise UserError(f"{key}={folder}: no audio file with a suffix that soundfile reads (.wav, .flac, .ogg, ...)")
    return found


def score_folders(config: DictConfig, out: Path) -> None:
    """Scores two folders. Raises UserError for a missing or empty folder, or if they have no stem in common."""
    for key, other in (("reference", "generated"), ("generated", "reference")):
        if config[key] is None:
            given = f"{other}={config[other]}" if config[other] else "one folder"
            raise UserError(f"{key}=... is required: a folder of {key} audio beside {given} (slts score --help)")
    metrics = list(config.metrics)
    if not metrics or (unknown := sorted({str(name) for name in metrics} - set(METRICS))):
        given = f"unknown {', '.join(unknown)}" if metrics else "empty"
        raise UserError(f"metrics: {given}; choose from {', '.join(METRICS)}")
    references = audio_files("reference", Path(config.reference))
    generated = audio_files("generated", Path(config.generated))
    if not references.keys() & generated.keys():
        raise UserError(f"generated={config.generated}: no file has the stem of one in reference={config.reference}")

    stems = sorted(references.keys() | generated.keys())
    pairs = [partial(read_pair, references.get(stem), generated.get(stem)) for stem in stems]
    bar = partial(track, description="scoring", total=len(stems), console=Console(stderr=True))
    workers = min(config.workers or len(os.sched_getaffinity(0)), len(stems))
    if config.recogniser and not config.text:
        raise UserError(f"recogniser={config.recogniser}: k_wer needs what is said; give text=FILE.csv (stem, text)")
    recognisers = load_recognisers(config.whisper, config.recogniser)
    texts = _read(partial(read_text_table, stems=stems), "text", config.text) if config.text else {}
    rows = score_pairs(pairs, workers, metrics, config.pesq_mode, bar)
    said = [texts.get(stem) for stem in stems]
    heard = {r.metric: hear(r, pairs, said, partial(bar, description=r.metric)) for r in recognisers}
    words = table_columns(heard) or [{}] * len(stems)

    write_table(
        out,
        [
            {"stem": stem, **{name: row[name] for name in metrics}, "pesq_mode": config.pesq_mode, "reason": why(row)}
            | columns
            for stem, row, columns in zip(stems, rows, words, strict=True)
        ],
    )
    versions = {"slts": __version__, "python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    failed = [stem for stem, row in zip(stems, rows, strict=True) if row["reasons"]]
    summary = summarise(rows) | {"failed_stems": failed}
    settings = {"pesq": PESQ_MODES[config.pesq_mode], "resampling": "soxr HQ to 16 kHz", "versions": versions}
    print(f"{len(stems)} pairs in {out}")
    print(json.dumps(summary | summarise_words(heard) | settings, allow_nan=False))


def score_ratings(config: DictConfig, out: Path) -> None:
    """Scores a table of opinions. Raises UserError if it cannot be read."""
    rows = opinion_table(_read(read_ratings, "ratings", config.ratings))
    write_table(out, rows)
    print(f"{len(rows)} systems and aspects in {out}")
    print(json.dumps({"opinion": rows}, allow_nan=False))


def score_offsets(config: DictConfig, out: Path) -> None:
    """Holds predicted against reference offsets. Raises UserError for unreadable tables or no key in common."""
    for key, value in (("offsets", config.offsets), ("reference_offsets", config.reference_offsets)):
        if value is None:
            raise UserError(f"{key}=... is required: the CSV beside the other one (slts score --help)")
    predicted = _read(read_offsets, "offsets", config.offsets)
    every = _read(read_offsets, "reference_offsets", config.reference_offsets)
    confident = read_offsets(Path(config.reference_offsets), config.above_confidence)
    keys = [key for key in predicted if key in confident]
    if not keys:
        raise UserError(
            f"offsets={config.offsets}: no key has an offset above above_confidence={config.above_confidence} in "
            f"reference_offsets={config.reference_offsets}"
        )
    agreement = offset_agreement([confident[key] for key in keys], [predicted[key] for key in keys])
    write_table(out, [{"key": k, "reference_ms": confident[k], "predicted_ms": predicted[k]} for k in keys])
    unsure = len((every.keys() - confident.keys()) & predicted.keys())
    counts = {"clips": len(keys), "without_reference": len(predicted.keys() - every.keys()), "not_confident": unsure}
    print(f"{len(keys)} clips in {out}")
    print(json.dumps(counts | agreement, allow_nan=False))


def _read(read: Callable, key: str, file: str):
    try:
        return read(Path(file))
    except OSError as error:
        raise UserError(f"{key}={file}: {error.strerror or error}") from None
    except ValueError as error:  # of ours, and of pandas for what is no CSV
        raise UserError(f"{key}={file}: {error}") from None


def why(row: dict) -> str:
    """The reasons of a row of score_pairs, each once, with the metrics it struck unless these are all."""
    struck: dict[str, list[str]] = {}
    for name, reason in row["reasons"].items():
        struck.setdefault(reason, []).append(name)
    return "; ".join(
        reason if len(names) == len(row) - 1 else f"{reason} ({' '.join(names)})" for reason, names in struck.items()
    )


def write_table(out: Path, rows: list[dict]) -> None:
    """A CSV of rows with equal keys, whole or absent."""
    unfinished = _unfinished(out)
    with unfinished.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    unfinished.replace(out)


def _unfinished(out: Path) -> Path:
    return out.with_name(out.name + ".part")


def main(config: DictConfig) -> None:
    """``slts score``. Raises UserError for inputs that do not go together or an output out of reach."""
    modes = {
        ("reference", "generated"): score_folders,
        ("ratings",): score_ratings,
        ("offsets", "reference_offsets"): score_offsets,
    }
    chosen = [keys for keys in modes if any(config[key] is not None for key in keys)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(keys[0] for keys in chosen)} are scored apart; give one of them")
    out = Path(config.out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(f"{out} is a folder")
        _unfinished(out).touch()
    except OSError as error:
        raise UserError(f"out={out}: cannot write there ({error.strerror or error}); name another file") from None
    try:
        modes[chosen[0] if chosen else ("reference", "generated")](config, out)
    finally:
        _unfinished(out).unlink(missing_ok=True)
