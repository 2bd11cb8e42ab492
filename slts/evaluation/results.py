"""Result rows: one JSON object a scored split in results.jsonl, one CSV line a clip."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from slts import __version__
from slts.json_lines import append_rows
from slts.metrics.columns import PREDICTED, SCORES, columns
from slts.spreadsheet import write_csv
from slts.training.evaluation_name import evaluation_of
from slts.training.run_directory import RunDirectory, config_hash

OFFSETS = ("frontend_offset_ms", "frontend_at_edge", "offset_ms", "dsm_offset_ms", "confidence", "at_edge")
SYNCNET = ("syncnet_offset_ms", "syncnet_confidence", "lse_d", "lse_c")
WORDS = ("w_wer", "w_wer_reference", "w_said", "w_heard", "w_reason", "k_wer", "k_said", "k_heard", "k_reason")
CLIP_COLUMNS = ("key", *SCORES, *PREDICTED, *OFFSETS, *SYNCNET, *WORDS, *columns("pictures"), "reasons")
"""Of the table of clips."""


def result_row(
    config, corpus: dict, split: str, sync: str, step: int, clips: int, figures: dict, modalities: str | None = None,
    protocol: str | None = None, heard: str | None = None,
) -> dict:  # fmt: skip
    """The row of a split of ``clips`` clips: which run it is of, the figures that its judges gave, and None for every
    column that does not apply; ``modalities`` av, a or v where the system has the choice, ``heard`` whose
    speech it hears there (base or data), ``protocol`` what drawn lips were to say where a system draws."""
    judged = (name for judge in ("speech", "offsets", "words", "pictures") for name in columns(judge))
    return {
        "task": config.task.name,
        "variant": config.variant,
        "corpus": corpus["name"],
        "split": split,
        "sync": sync,
        "modalities": modalities,
        "heard": heard,
        "protocol": protocol,
        "step": step,
        "clips": clips,
        "failed": figures.get("failed", 0),
        **dict.fromkeys(judged),
        **figures,
        "seed": config.seed,
        "config_hash": config_hash(config),
        "corpus_hash": corpus["hash"],
        "version": __version__,
    }


def write_results(run: RunDirectory, row: dict, clips: list[dict]) -> Path:
    """Appends the row to results.jsonl and writes clips-NAME.csv, NAME as by ``evaluation_of``; returns its path."""
    scored_at = datetime.now(UTC).isoformat(timespec="seconds")
    append_rows(run.results, [row | {"scored_at": scored_at}])
    table = run.path / f"clips-{evaluation_of(row)}.csv"
    write_csv(table, CLIP_COLUMNS, [{**clip, "reasons": _reasons(clip)} for clip in clips])
    return table


def mean(values: list[float | None]) -> float | None:
    """Of those that are there; None without one."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def known_pairs(clips: list[dict], first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of the clips that have both."""
    both = [(c[first], c[second]) for c in clips if c.get(first) is not None and c.get(second) is not None]
    return np.array([a for a, _ in both], float), np.array([b for _, b in both], float)


def _reasons(clip: dict) -> str:
    return "; ".join(f"{name}: {why}" for name, why in clip.get("reasons", {}).items())
