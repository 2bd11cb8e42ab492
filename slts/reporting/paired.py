"""Systems compared on the same clips: the difference of each clip, its mean over seeds, an interval over clips.

A record is a list of objects, one a scored run: ``seed``, what tells it from the others, ``clips`` (keys in their
order) and ``scores``, a list of figures in that order for each name, null where there is none.
"""

from pathlib import Path

import pandas as pd

from slts.metrics.columns import COLUMNS
from slts.metrics.summary import summarise
from slts.spreadsheet import text

FIGURES = ("pesq", "stoi", "estoi", "a_pesq", "a_stoi", "a_estoi", "k_wer")
"""Of a record, as a table of clips calls them; rates are those of the clip."""
DIGITS = 4


def scored_clips(table: Path) -> dict:
    """``clips`` and ``scores`` of a clips-SPLIT.csv of slts evaluate, in the order of the keys."""
    clips = pd.read_csv(table, dtype={"key": str})
    clips = clips.assign(key=clips["key"].map(text)).sort_values("key")
    figures = {name: pd.to_numeric(clips[name], errors="coerce") for name in FIGURES if name in clips}
    return {
        "clips": clips["key"].tolist(),
        "scores": {
            name: [None if pd.isna(value) else round(float(value), DIGITS) for value in column]
            for name, column in figures.items()
            if column.notna().any()
        },
    }


def differences(ours: list[dict], theirs: list[dict]) -> dict[str, dict]:
    """By figure, ours less theirs on the clips and seeds that both have.

    Args:
        ours: runs of one system, one a seed.
        theirs: those of another.

    Returns:
        ``mean``; ``low`` and ``high``, the 95 % bootstrap interval over clips of the clips' means over seeds;
        ``seeds``, the mean of each seed. Figures that no clip has in both are left out.
    """
    first, second = ({run["seed"]: _frame(run) for run in runs} for runs in (ours, theirs))
    common = sorted(first.keys() & second.keys())
    each = {seed: first[seed] - second[seed] for seed in common}  # by key; NaN where one lacks it
    if not each:
        return {}
    over_seeds = pd.concat(each.values()).groupby(level=0).mean().astype(object)
    rows = over_seeds.where(over_seeds.notna(), None).to_dict("records")
    found = summarise([{**row, "reasons": {}} for row in rows])
    return {
        name: {
            "mean": mean,
            "low": (found["intervals"][name] or [None])[0],
            "high": (found["intervals"][name] or [None])[-1],
            "seeds": [float(frame[name].mean()) for frame in each.values() if frame[name].notna().any()],
        }
        for name, mean in found["means"].items()
        if mean is not None
    }


def means_table(groups: dict[str, list[dict]], names: tuple[str, ...] = FIGURES) -> pd.DataFrame:
    """One row a system: the mean over clips and seeds of every figure that one has."""
    rows = {}
    for label, runs in groups.items():
        frame = pd.concat(_frame(run) for run in runs)
        rows[label] = {"seeds": len(runs)} | {
            COLUMNS[name].title: f"{_scale(name) * frame[name].mean():.{COLUMNS[name].digits}f}"
            for name in names
            if name in frame and frame[name].notna().any()
        }
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def differences_table(groups: dict[str, list[dict]], reference: str, names: tuple[str, ...] = FIGURES) -> pd.DataFrame:
    """One row a system: each figure less that of ``reference``, with its interval, and a * where 0 is outside of it."""
    rows = {}
    for label, runs in groups.items():
        if label != reference:
            found = differences(runs, groups[reference])
            rows[label] = {COLUMNS[name].title: _said(name, found[name]) for name in names if name in found}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def _said(name: str, found: dict) -> str:
    scale, digits = _scale(name), COLUMNS[name].digits
    mean = f"{scale * found['mean']:+.{digits}f}"
    if found["low"] is None:
        return mean
    clear = "*" if found["low"] > 0 or found["high"] < 0 else ""
    return f"{mean}{clear} [{scale * found['low']:+.{digits}f}, {scale * found['high']:+.{digits}f}]"


def _scale(name: str) -> int:
    """Rates are shown in per cent."""
    return 100 if COLUMNS[name].judge == "words" else 1


def _frame(run: dict) -> pd.DataFrame:
    return pd.DataFrame(run["scores"], index=run["clips"], dtype=float)
