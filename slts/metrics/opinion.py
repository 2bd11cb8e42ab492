"""Mean opinion scores with the interval of SLTS Table 4."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

COLUMNS = ("rater", "clip", "system", "aspect", "score")


def opinion_score(scores: Sequence[float]) -> tuple[float, float | None]:
    """Mean of ratings and half-width of its 95 % interval, t(.975, n - 1) s / sqrt(n) over the n pooled ratings.

    The half-width is None below two ratings. Raises ValueError for no ratings or ratings that are not finite.
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError("ratings must be a list of finite numbers, at least one")
    if scores.size < 2:
        return float(scores.mean()), None
    half = stdtrit(scores.size - 1, 0.975) * scores.std(ddof=1) / np.sqrt(scores.size)
    return float(scores.mean()), float(half)


def opinion_table(ratings: pd.DataFrame) -> list[dict]:
    """One row for each aspect and system of ratings with the columns of COLUMNS, in the order of first appearance.

    A row has aspect, system, mean, interval (half-width or None), ratings, raters, clips.
    """
    rows = []
    for (aspect, system), group in ratings.groupby(["aspect", "system"], sort=False):
        mean, interval = opinion_score(group["score"])
        counts = {"ratings": len(group), "raters": group["rater"].nunique(), "clips": group["clip"].nunique()}
        rows.append({"aspect": aspect, "system": system, "mean": mean, "interval": interval} | counts)
    return rows


def read_ratings(file: Path) -> pd.DataFrame:
    """A CSV with the columns rater, clip, system, aspect, score (others are ignored).

    Raises ValueError that says what is wrong with it: a missing column, no row, an empty cell, a score that is no
    number, a rating given twice.
    """
    table = pd.read_csv(file, dtype=str, skipinitialspace=True)
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    table = table[list(COLUMNS)]
    if table.empty:
        raise ValueError("no ratings")
    score = pd.to_numeric(table["score"], errors="coerce")
    bad = table.isna().any(axis=1) | ~np.isfinite(score)
    if bad.any():
        raise ValueError(f"line {bad.argmax() + 2}: an empty cell, or a score that is not a number")
    if (twice := table.duplicated(list(COLUMNS[:-1]))).any():
        raise ValueError(f"line {twice.argmax() + 2}: this rater has rated the clip, system and aspect before")
    return table.assign(score=score)
