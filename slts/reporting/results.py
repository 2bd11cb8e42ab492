"""Result rows of run directories, with what is wrong with them said in a column and not hidden."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from slts import __version__
from slts.errors import UserError
from slts.evaluation.results import SCORES
from slts.metrics.summary import summarise
from slts.reporting.corpora import Corpus, read_corpora

PAPER = (*SCORES, "offset_r2_frontend", "offset_r2_syncnet", "w_wer", "k_wer")
"""The twelve figures of Table 2."""
OFFSETS = ("offset_r2_truth", "offset_r2_truth_centred", "offset_bias_ms", "offset_mae_ms", "offset_within_10ms")
NUMBERS = (*PAPER, *OFFSETS, "offset_at_edge", "model_offset_ms", "lse_d", "lse_c", "clips", "failed", "step")
SYSTEMS = {
    ("slts", "paper"): "SLTS",
    ("slts", "no_asm"): "SLTS_no_ASM",
    ("slts", "with_discriminators"): "SLTS_dis",
    ("vcagan", "paper"): "VCA-GAN",
}
"""The published systems by task and variant; other variants are TASK_VARIANT."""
MARKS = ("config.yaml", "metrics.jsonl", "results.jsonl")


def run_directories(runs: Path) -> Iterator[Path]:
    """Every folder at or below ``runs`` that holds what a run leaves, sorted; nothing inside a run is looked at."""
    if any((runs / name).is_file() for name in MARKS):
        yield runs
    elif runs.is_dir():
        for folder in sorted(path for path in runs.iterdir() if path.is_dir() and not path.name.startswith(".")):
            yield from run_directories(folder)


def find_corpora(runs: Path, data: Path | None = None) -> dict[str, Corpus]:
    """The corpora of the runs below ``runs`` and of the folders in ``data``, by hash."""
    folders = list(run_directories(runs))
    if data is not None and data.is_dir():
        folders += [data, *sorted(path for path in data.iterdir() if path.is_dir())]
    return read_corpora(folders)


def load_results(runs: Path, data: Path | None = None) -> pd.DataFrame:
    """The latest row of every run, corpus, split and sync, and one row for every run that has none.

    Besides the columns of results.jsonl: ``run``; ``system`` as the paper calls it; ``corpus`` and ``family`` (see
    corpora); ``model``, what was trained; ``note``, why figures are missing or doubtful, or which of several runs of
    the same row is the newest; ``path``. A figure that is missing or no number is None.

    Raises:
        UserError: no run below ``runs``.
    """
    corpora = find_corpora(runs, data)
    rows = [row for folder in run_directories(runs) for row in _rows(folder, runs, corpora)]
    if not rows:
        raise UserError(f"runs={runs} holds no results.jsonl; run slts evaluate first")
    for place in _claims(rows):
        newest = max(place, key=lambda row: (row["path"] / "results.jsonl").stat().st_mtime)
        for row in place:
            _note(row, f"newest of {len(place)} runs" if row is newest else "an older run of the same row")
    frame = pd.DataFrame(rows)
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name]) if name in frame else float("nan")
    return frame.assign(note=["; ".join(notes) for notes in frame["note"]])


def _rows(folder: Path, runs: Path, corpora: dict[str, Corpus]) -> Iterator[dict]:
    """What one run directory has to show."""
    trained, problems = _trained(folder)
    base = {"run": folder.relative_to(runs).as_posix() if folder != runs else folder.name} | trained
    base["path"] = folder
    latest, broken, lines = {}, [], []
    if (folder / "results.jsonl").is_file():
        lines = (folder / "results.jsonl").read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = dict(json.loads(line))
            missing = [name for name in ("corpus", "split", "variant", "task") if not isinstance(row.get(name), str)]
            if missing:
                raise ValueError(f"no {', '.join(missing)}")
            latest[row["split"], row.get("sync", "none"), str(row.get("corpus_hash"))] = row
        except (ValueError, TypeError) as error:
            what = str(error) if str(error).startswith("no ") else "not a result row"
            broken.append(f"results.jsonl line {number}: {what}")
    for (split, sync, digest), row in latest.items():
        notes = problems + broken
        if absent := [name for name in PAPER if name not in row]:
            notes = [*notes, f"row without {', '.join(absent)}"]
        if (version := row.get("version")) != __version__:
            notes = [*notes, f"written by version {version or 'unknown'}"]
        for name in NUMBERS:
            value = row.get(name)
            if value is not None and (isinstance(value, (str, bool, list, dict)) or not math.isfinite(value)):
                notes, row[name] = [*notes, f"{name} is not a number"], None
        if row.get("failed"):
            notes = [*notes, f"{row['failed']} clips without some figure"]
        known = corpora.get(digest)
        names = {
            "system": SYSTEMS.get((row["task"], row["variant"]), _other(row["task"], row["variant"])),
            "corpus": known.label if known else f"{row['corpus']}, corpus.json not found ({digest})",
            "family": known.family if known else "unknown",
            "model": base["model"] and f"{base['model']}, step {row.get('step')}",
        }
        yield {**row, **base, **names, "split": split, "sync": sync, "note": notes}
    if not latest:
        reason = broken or [f"not evaluated yet: slts evaluate run={runs.name}/{base['run']}"]
        yield base | {"split": None, "sync": None, "note": problems + reason} | _of_config(folder, corpora)


def _trained(folder: Path) -> tuple[dict, list[str]]:
    """What config.yaml says of the model, and what is wrong with it."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        size = f"{config['model']['name']}, {config['vocoder']['name']}"
        return {"model": size}, []
    except OSError:
        return {"model": None}, ["no config.yaml"]
    except (yaml.YAMLError, KeyError, TypeError):
        return {"model": None}, ["config.yaml of another version"]


def _of_config(folder: Path, corpora: dict[str, Corpus]) -> dict:
    """System and corpus of a run that has no result row."""
    facts = {"system": None, "corpus": None, "family": "unknown", "task": None, "variant": None}
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        task, variant = config["task"]["name"], config["variant"]
        facts |= {"task": task, "variant": variant, "system": SYSTEMS.get((task, variant), _other(task, variant))}
        known = corpora[json.loads((folder / "corpus.json").read_text())["hash"]]
        facts |= {"corpus": known.label, "family": known.family}
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError):
        pass
    return facts


def _other(task: str, variant: str) -> str:
    name = {"slts": "SLTS", "vcagan": "VCA-GAN"}.get(task, task)
    return name if variant == "paper" else f"{name}_{variant}"


def _claims(rows: list[dict]) -> list[list[dict]]:
    """The groups of evaluated runs that claim the same row."""
    places: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["split"] is not None:
            places.setdefault((row["system"], row["corpus"], row["split"], row["sync"]), []).append(row)
    return [place for place in places.values() if len(place) > 1]


def _note(row: dict, text: str) -> None:
    row["note"] = [*row["note"], text]


def load_clips(row: pd.Series) -> pd.DataFrame | None:
    """The clips of a row of load_results; None if it is not there or is of another evaluation than the row."""
    try:
        name = f"clips-{row['split']}{'-dsm' if row['sync'] == 'dsm' else ''}.csv"
        clips = pd.read_csv(row["path"] / name, dtype={"key": str})
    except (OSError, ValueError):
        return None
    for name in SCORES:
        ours = pd.to_numeric(clips[name], errors="coerce").mean() if name in clips else math.nan
        if not (math.isnan(ours) and pd.isna(row[name])) and not math.isclose(ours, row[name], abs_tol=1e-6):
            return None
    return clips


def intervals(clips: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """95 % bootstrap interval over clips of the mean of every score that two clips have."""
    values = clips[list(SCORES)].astype(object).where(clips[list(SCORES)].notna(), None)
    found = summarise([{**row, "reasons": {}} for row in values.to_dict("records")])["intervals"]
    return {name: tuple(interval) for name, interval in found.items() if interval}
