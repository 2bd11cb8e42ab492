"""Score a folder of generated speech against a folder of reference speech, plain and time-aligned.

Any sample rate, length and number of channels: channels are averaged, soxr (HQ) resamples to 16 kHz. Leaves one CSV row
a pair; the last line of standard output is a JSON object of means, 95 % bootstrap intervals and failures with reasons.
"""

import csv
import json
import os
import platform
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
from slts.metrics import Undefined
from slts.metrics.quality import PESQ_MODES
from slts.metrics.scoring import METRICS, score_pairs, summarise

SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {".aif", ".oga", ".opus"}
LIBRARIES = ("numpy", "scipy", "torch", "pesq", "python_speech_features", "soundfile", "soxr")


def read_audio(file: Path) -> np.ndarray:
    """Mono audio (N,) float32 at 16 kHz from any file that soundfile reads. Raises Undefined if it cannot."""
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
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
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            stem = file.relative_to(folder).with_suffix("").as_posix()
            if stem in found:
                raise UserError(f"{key}: {found[stem].name} and {file.name} in {file.parent} share a stem; keep one")
            found[stem] = file
    if not found:
        raise UserError(f"{key}={folder}: no audio file with a suffix that soundfile reads (.wav, .flac, .ogg, ...)")
    return found


def _write_table(out: Path, stems: list[str], rows: list[dict], pesq_mode: str) -> None:
    metrics = [name for name in rows[0] if name != "reasons"]
    with out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["stem", *metrics, "pesq_mode", "reason"])
        for stem, row in zip(stems, rows, strict=True):
            struck: dict[str, list[str]] = {}
            for name, reason in row["reasons"].items():
                struck.setdefault(reason, []).append(name)
            reasons = "; ".join(
                reason if names == metrics else f"{reason} ({' '.join(names)})" for reason, names in struck.items()
            )
            table.writerow([stem, *(row[name] for name in metrics), pesq_mode, reasons])


def main(config: DictConfig) -> None:
    """``slts score``. Raises UserError for a missing or empty folder, no common stem, or an output out of reach."""
    metrics = list(config.metrics)
    if not metrics or (unknown := sorted({str(name) for name in metrics} - set(METRICS))):
        given = f"unknown {', '.join(unknown)}" if metrics else "empty"
        raise UserError(f"metrics: {given}; choose from {', '.join(METRICS)}")
    references = audio_files("reference", Path(config.reference))
    generated = audio_files("generated", Path(config.generated))
    if not references.keys() & generated.keys():
        raise UserError(f"generated={config.generated}: no file has the stem of one in reference={config.reference}")

    out = Path(config.out)
    unfinished = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        if out.is_dir():
            raise IsADirectoryError(f"{out} is a folder")
    except OSError as error:
        raise UserError(f"out={out}: cannot write there ({error.strerror or error}); name another file") from None

    stems = sorted(references.keys() | generated.keys())
    pairs = [partial(read_pair, references.get(stem), generated.get(stem)) for stem in stems]
    bar = partial(track, description="scoring", total=len(stems), console=Console(stderr=True))
    workers = min(config.workers or len(os.sched_getaffinity(0)), len(stems))
    rows = score_pairs(pairs, workers, metrics, config.pesq_mode, bar)

    _write_table(unfinished, stems, rows, config.pesq_mode)
    unfinished.replace(out)
    versions = {"slts": __version__, "python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    failed = [stem for stem, row in zip(stems, rows, strict=True) if row["reasons"]]
    summary = summarise(rows) | {"failed_stems": failed}
    settings = {"pesq": PESQ_MODES[config.pesq_mode], "resampling": "soxr HQ to 16 kHz", "versions": versions}
    print(f"{len(stems)} pairs in {out}")
    print(json.dumps(summary | settings, allow_nan=False))
