"""Means, intervals and failures of many scored pairs."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

BATCHES, BATCH = 20, 100
"""2000 resamples, drawn in batches that bound the memory for large sets."""


def summarise(rows: Sequence[dict], seed: int = 0) -> dict:
    """Means over the pairs that have a value, with what is missing counted and named.

    Returns clips (pairs given), failed (pairs that lack at least one metric), means {metric: float or None}, intervals
    {metric: [low, high] or None}: 95 % percentile bootstrap of the mean over clips, None below two values; failures
    {metric: count}, and reasons {reason: pairs it struck}.
    """
    names = [name for name in (rows[0] if rows else {}) if name != "reasons"]
    values = {name: np.array([row[name] for row in rows if row[name] is not None]) for name in names}
    return {
        "clips": len(rows),
        "failed": sum(bool(row["reasons"]) for row in rows),
        "means": {name: float(v.mean()) if v.size else None for name, v in values.items()},
        "intervals": {name: _interval(v, seed) for name, v in values.items()},
        "failures": {name: len(rows) - v.size for name, v in values.items() if v.size < len(rows)},
        "reasons": dict(Counter(reason for row in rows for reason in set(row["reasons"].values())).most_common()),
    }


def _interval(values: np.ndarray, seed: int) -> list[float] | None:
    if values.size < 2:
        return None
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(values.size, size=(BATCH, values.size))].mean(1) for _ in range(BATCHES)]
    return np.percentile(means, [2.5, 97.5]).tolist()
