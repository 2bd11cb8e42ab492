"""Mean opinion scores with the interval of SLTS Table 4, and intervals that know of raters and clips."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

COLUMNS = ("rater", "clip", "system", "aspect", "score")
PREFERENCE = "preference"
"""The aspect of choices: 1 for the version of a clip that was chosen, 0 for the others."""
RESAMPLES = 2000


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


def crossed_interval(scores: np.ndarray, seed: int = 0) -> tuple[float | None, float | None]:
    """Bounds of the 95 % percentile bootstrap of a mean over raters and clips, both drawn anew (Owen 2007).

    Ratings of one rater, or of one clip, are more alike than others. The pooled interval takes them for independent
    and is too narrow; this one holds for other raters and other clips.

    Args:
        scores: (raters, clips), NaN where a rater did not rate a clip.

    Returns:
        None, None below two raters or two clips.
    """
    if min(scores.shape) < 2:
        return None, None
    rng = np.random.default_rng(seed)
    raters, clips = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) for n in scores.shape)  # how often each is drawn
    drawn = [((raters @ part) * clips).sum(1) for part in (np.nan_to_num(scores), np.isfinite(scores).astype(float))]
    means = drawn[0][drawn[1] > 0] / drawn[1][drawn[1] > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Bounds of Wilson's 95 % interval of a share of n choices (E. B. Wilson 1927)."""
    z = ndtri(0.975)
    centre, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return tuple(float(bound / (1 + z**2 / n)) for bound in (centre - half, centre + half))


def opinion_table(ratings: pd.DataFrame) -> list[dict]:
    """One row for each aspect and system of ratings with the columns of COLUMNS, in the order of first appearance.

    A row has aspect, system, mean, interval (half-width or None), low and high (``crossed_interval``), of preferences
    wilson_low and wilson_high, else None, and ratings, raters, clips.
    """
    rows = []
    for (aspect, system), group in ratings.groupby(["aspect", "system"], sort=False):
        mean, interval = opinion_score(group["score"])
        low, high = crossed_interval(_by_rater_and_clip(group).to_numpy())
        wilson = wilson_interval(mean, len(group)) if aspect == PREFERENCE and 0 <= mean <= 1 else (None, None)
        bounds = {"low": low, "high": high, "wilson_low": wilson[0], "wilson_high": wilson[1]}
        counts = {"ratings": len(group), "raters": group["rater"].nunique(), "clips": group["clip"].nunique()}
        rows.append({"aspect": aspect, "system": system, "mean": mean, "interval": interval} | bounds | counts)
    return rows


def opinion_differences(ratings: pd.DataFrame) -> list[dict]:
    """Two systems by what the same rater gave both on the same clip, for each aspect and pair of systems.

    A row has aspect, system, minus, the mean of system less minus, interval, low and high as in ``opinion_table``, and
    pairs, how many (rater, clip) have both. Systems that share none are left out.
    """
    rows = []
    for aspect, group in ratings.groupby("aspect", sort=False):
        tables = {system: _by_rater_and_clip(part) for system, part in group.groupby("system", sort=False)}
        for (first, ours), (second, theirs) in combinations(tables.items(), 2):
            difference = (ours - theirs).dropna(how="all").dropna(how="all", axis=1).to_numpy()
            each = difference[np.isfinite(difference)]
            if each.size:
                mean, interval = opinion_score(each)
                low, high = crossed_interval(difference)
                of = {"aspect": aspect, "system": first, "minus": second, "pairs": int(each.size)}
                rows.append(of | {"mean": mean, "interval": interval, "low": low, "high": high})
    return rows


def read_ratings(file: Path) -> pd.DataFrame:
    """A CSV with the columns rater, clip, system, aspect, score. A column passed, 0 in rows of raters who failed an
    attention check, becomes False and True, and is True where there is none. Other columns are ignored.

    Raises ValueError that says what is wrong with it: a missing column, no row, an empty cell, a score that is no
    number, a rating given twice.
    """
    table = pd.read_csv(file, dtype=str, skipinitialspace=True)
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    passed = table["passed"] != "0" if "passed" in table else True
    table = table[list(COLUMNS)]
    if table.empty:
        raise ValueError("no ratings")
    score = pd.to_numeric(table["score"], errors="coerce")
    bad = table.isna().any(axis=1) | ~np.isfinite(score)
    if bad.any():
        raise ValueError(f"line {bad.argmax() + 2}: an empty cell, or a score that is not a number")
    if (twice := table.duplicated(list(COLUMNS[:-1]))).any():
        raise ValueError(f"line {twice.argmax() + 2}: this rater has rated the clip, system and aspect before")
    return table.assign(score=score, passed=passed)


def _by_rater_and_clip(ratings: pd.DataFrame) -> pd.DataFrame:
    """Scores of one system and aspect, NaN where there is none."""
    return ratings.pivot(index="rater", columns="clip", values="score")
