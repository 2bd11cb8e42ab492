"""Result rows of run directories, with what is wrong with them said in a column and not hidden."""

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError

from slts import __version__
from slts.data.facts import CORPUS_BYTES, corpus_facts
from slts.errors import UserError
from slts.folders import read_plain
from slts.json_lines import rows_of
from slts.metrics.columns import SCORES, columns
from slts.metrics.summary import summarise
from slts.reporting.corpora import Corpus, read_corpora
from slts.reporting.published import PAPER
from slts.spreadsheet import text
from slts.systems import given_by
from slts.systems.contract import PICTURES, SPEECH
from slts.training.evaluation_name import PROTOCOLS, evaluation_of
from slts.training.run_config import read_run_config

NUMBERS = (*columns("speech"), *columns("words"), *columns("offsets"), *columns("pictures"), "clips", "failed", "step")
"""What is a number in a row."""
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
    """The latest row of every run, corpus and evaluation (see slts.training.evaluation_name), and one row for every run
    that slts evaluate takes and has not scored.

    Besides the columns of results.jsonl: ``run``; ``system`` as the paper calls it; ``corpus`` and ``family`` (see
    corpora); ``model``, what was trained; ``scored_at``, for rows that do not say it the age of results.jsonl;
    ``note``, why figures are missing or doubtful, or which of several runs of the same row is the newest; ``path``. A
    figure that is missing or no number is NaN; ``split`` and ``sync`` are None in a run without rows.

    Raises:
        UserError: no run below ``runs``.
    """
    corpora = find_corpora(runs, data)
    rows = [row for folder in run_directories(runs) for row in _rows(folder, runs, corpora)]
    if not rows:
        raise UserError(f"runs={runs} holds no results.jsonl; run slts evaluate first")
    _mark_newest(rows)
    frame = pd.DataFrame(rows)
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name]) if name in frame else float("nan")
    return frame.assign(note=["; ".join(notes) for notes in frame["note"]])


def _rows(folder: Path, runs: Path, corpora: dict[str, Corpus]) -> Iterator[dict]:
    """What one run directory has to show; ``note`` is a list."""
    file = folder / "results.jsonl"
    run = {"run": folder.relative_to(runs).as_posix() if folder != runs else folder.name, "path": folder}
    trained, problems = _trained(folder)
    model, judged = trained.pop("model"), trained.pop("judged")
    rows, broken = _latest(file)
    for row in rows:
        row |= {"variant": trained["variant"] or row["variant"]}
        notes = [*problems, *broken, *_doubts(row)]
        if row.get("w_wer") is None and _is_figure(row.get("w_wer_reference")):
            row["w_wer"] = row["w_wer_reference"]
            notes.append("w-WER of clips without text is against what Whisper hears in the recorded sound")
        step = {"model": model and f"{model}, step {row.get('step')}"}
        when = {"scored_at": str(row.get("scored_at") or _modified(file))}
        numbers = {name: None for name in NUMBERS if not _is_figure(row.get(name))}
        digest = str(row.get("corpus_hash"))
        unknown = Corpus(f"{row['corpus']}, corpus.json not found ({digest})", "unknown", {})
        yield {**row, **numbers, **_names(row, corpora.get(digest, unknown)), **run, **step, **when, "note": notes}
    if not rows and judged:
        reasons = broken or [f"not evaluated yet: slts evaluate run={runs.name}/{run['run']}"]
        unknown = Corpus("unknown corpus", "unknown", {})
        names = _names(trained, corpora.get(_hash(folder), unknown))
        unscored = {"split": None, "sync": None, "scored_at": None}
        yield {**trained, **names, **run, "model": model, **unscored, "note": [*problems, *reasons]}


def _trained(folder: Path) -> tuple[dict, list[str]]:
    """Task, variant, model and whether slts evaluate takes it, by config.yaml, and what is wrong with that."""
    try:
        config = read_run_config(folder / "config.yaml")
        model = f"{config['model']['name']} model, {config['vocoder']['name']}"
        task = config["task"]["name"]
        return {"task": task, "variant": _variant(config), "model": model, "judged": _is_judged(config)}, []
    except OSError:
        problem = "no config.yaml"
    except (UserError, KeyError):
        problem = "config.yaml of another version"
    return {"task": None, "variant": None, "model": None, "judged": True}, [problem]


def _is_judged(config: DictConfig) -> bool:
    """Whether slts evaluate takes the system; a config that says too little to tell may be of one that it does."""
    try:
        return bool({SPEECH, PICTURES} & set(given_by(config)))
    except ConfigAttributeError:
        return True


def _variant(config: DictConfig) -> str:
    """Discriminators may be given by their key, as in a study: then they are told apart as the variant's are."""
    variant = config["variant"]
    if not config["task"].get("discriminators") or variant == "with_discriminators":
        return variant
    return "with_discriminators" if variant == "paper" else f"{variant}_dis"


def _hash(folder: Path) -> str | None:
    try:
        return corpus_facts(read_plain(folder / "corpus.json", CORPUS_BYTES)).get("hash")
    except (OSError, ValueError):
        return None


def _latest(file: Path) -> tuple[list[dict], list[str]]:
    """The last row of each split, sync, modalities, protocol, speech heard and corpus, and what is said of lines that
    are none."""
    rows, faults = rows_of(file, _wrong)
    latest, broken = {}, [f"results.jsonl {fault}" for fault in faults]
    for row in rows:
        row.setdefault("sync", "none")
        protocol = row.get("protocol") if row.get("protocol") in PROTOCOLS else None  # the clips' own, in older rows
        others = row.get("heard") == "data"
        latest[row["split"], row["sync"], row.get("modalities"), protocol, others, str(row.get("corpus_hash"))] = row
    if len(broken) > 2:
        broken = [broken[0], f"{len(broken) - 1} more lines that are none"]
    return list(latest.values()), broken


def _wrong(row: dict) -> str | None:
    missing = [name for name in ("corpus", "split", "variant", "task") if not isinstance(row.get(name), str)]
    if missing:
        return f"no {', '.join(missing)}"
    if row.get("modalities") not in (None, "av", "a", "v"):
        return "modalities are none of av, a and v"
    if row.get("protocol") not in (None, "own", *PROTOCOLS):
        return f"protocol is none of own, {', '.join(PROTOCOLS)}"
    return None if isinstance(row.get("sync", "none"), str) else "sync is no text"


def _doubts(row: dict) -> list[str]:
    """Why figures of a row are missing or may not be comparable."""
    notes = []
    if absent := [name for name in PAPER if name not in row]:
        notes.append(f"row without {', '.join(absent)}")
    if (version := row.get("version")) != __version__:
        notes.append(f"written by version {version or 'unknown'}")
    notes += [f"{name} is not a number" for name in NUMBERS if row.get(name) is not None and not _is_figure(row[name])]
    if row.get("failed"):
        notes.append(f"{row['failed']} clips without some figure")
    return notes


def _is_figure(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _names(row: dict, corpus: Corpus) -> dict:
    """What the tables call a row's system and corpus."""
    task, variant = row["task"], row["variant"]
    name = {"slts": "SLTS", "vcagan": "VCA-GAN", "av2a": "AV2A"}.get(task, task)
    system = SYSTEMS.get((task, variant), name if variant == "paper" else f"{name}_{variant}")
    if row.get("modalities") in ("a", "v"):
        system = f"{system}_{row['modalities']}"
    if row.get("heard") == "data":
        system = f"{system}_heard"
    if row.get("protocol") in PROTOCOLS:
        system = f"{system}_{row['protocol']}"
    return {"system": system if task else "unknown system", "corpus": corpus.label, "family": corpus.family}


def _modified(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _mark_newest(rows: list[dict]) -> None:
    """Notes on evaluated runs that claim the same row."""
    claims = defaultdict(list)
    for row in rows:
        if row["split"] is not None:
            claims[row["system"], row["corpus"], row["split"], row["sync"]].append(row)
    for claim in claims.values():
        newest = max(claim, key=lambda row: row["scored_at"])
        for row in claim if len(claim) > 1 else ():
            row["note"].append(f"newest of {len(claim)} runs" if row is newest else "an older run of the same row")


def load_clips(row: pd.Series) -> pd.DataFrame | None:
    """The clips of a row of load_results; None if it is not there or is of another evaluation than the row."""
    try:
        clips = pd.read_csv(row["path"] / f"clips-{evaluation_of(row)}.csv", dtype={"key": str})
        clips["key"] = clips["key"].map(text, na_action="ignore")
    except (OSError, ValueError, KeyError):
        return None
    for name in SCORES:
        ours = pd.to_numeric(clips[name], errors="coerce").mean() if name in clips else math.nan
        if not (math.isnan(ours) and pd.isna(row[name])) and not math.isclose(ours, row[name], abs_tol=1e-6):
            return None
    return clips


def intervals(clips: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """95 % bootstrap interval over clips of the mean of every score that two clips have."""
    scored = clips[[name for name in SCORES if name in clips]]
    values = scored.astype(object).where(scored.notna(), None)
    found = summarise([{**row, "reasons": {}} for row in values.to_dict("records")])["intervals"]
    return {name: tuple(interval) for name, interval in found.items() if interval}
