"""Plain and time-aligned scores of one pair of audio or of many over a process pool, and their summary."""

import functools
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from scipy.stats import bootstrap

from slts.metrics import Undefined, check_audio
from slts.metrics.alignment import offsets_ms, overlap
from slts.metrics.cepstral import mcd
from slts.metrics.intelligibility import stoi_estoi
from slts.metrics.quality import pesq

COMPARISONS: dict[tuple[str, ...], Callable] = {("stoi", "estoi"): stoi_estoi, ("pesq",): pesq, ("mcd",): mcd}
"""What is computed on a pair of equal length: the names of the values and the function that gives them."""
PLAIN = tuple(name for names in COMPARISONS for name in names)
ALIGNED = tuple(f"a_{name}" for name in PLAIN)
"""The same values on the overlap after the frontend's offset has been taken out."""
OFFSETS = ("frontend_offset_ms", "refined_offset_ms")
METRICS = PLAIN + ALIGNED + OFFSETS

Pair = tuple[np.ndarray, np.ndarray]


def _attempt(compute: Callable, names: Sequence[str], *arguments) -> dict[str, float | Undefined]:
    """The values of ``compute`` by name, or for each name the reason why there is none."""
    try:
        values = compute(*arguments)
    except Undefined as reason:
        return dict.fromkeys(names, reason)
    return dict(zip(names, values if isinstance(values, tuple) else (values,), strict=True))


def _compare(pair: Pair, wanted: set[str], pesq_mode: str) -> dict[str, float | Undefined]:
    """The wanted plain values of a pair of equal length."""
    outcome: dict[str, float | Undefined] = {}
    for names, compute in COMPARISONS.items():
        if wanted.intersection(names):
            compute = functools.partial(compute, mode=pesq_mode) if compute is pesq else compute
            outcome |= _attempt(compute, names, *pair)
    return outcome


def score_pair(
    reference: np.ndarray, generated: np.ndarray, metrics: Sequence[str] = METRICS, pesq_mode: str = "nb"
) -> dict:
    """All chosen metrics of one pair of mono audio (N,), (N',) at 16 kHz in [-1, 1].

    Returns {metric: float or None, ..., "reasons": {metric: why it is None}}. The plain metrics start both signals
    together and cut them to the shorter; the aligned ones (a_...) do so after removing the frontend's offset of the
    generated audio, on the overlap alone. STOI and ESTOI are about 0 to 1, PESQ 1 to 4.55 (4.64 wide band), MCD is a
    distance, offsets are milliseconds, positive when the generated audio is late.
    """
    _check_names(metrics)
    try:
        check_audio(reference, "reference")
        check_audio(generated, "generated")
    except Undefined as reason:
        return _without_values(metrics, reason)
    plain, aligned = ({name for name in PLAIN if prefix + name in metrics} for prefix in ("", "a_"))
    outcome: dict[str, float | Undefined] = {}
    if aligned or set(OFFSETS).intersection(metrics):
        outcome = _attempt(offsets_ms, OFFSETS, reference, generated)
    offset = outcome.get(OFFSETS[0], 0.0)

    unshifted = overlap(reference, generated)
    if isinstance(offset, Undefined):
        outcome |= _compare(unshifted, plain, pesq_mode) | dict.fromkeys(ALIGNED, offset)
    elif offset == 0:
        same = _compare(unshifted, plain | aligned, pesq_mode)
        outcome |= same | {f"a_{name}": value for name, value in same.items()}
    else:
        shifted = _compare(overlap(reference, generated, offset), aligned, pesq_mode)
        outcome |= _compare(unshifted, plain, pesq_mode) | {f"a_{name}": value for name, value in shifted.items()}

    row = {name: None if isinstance(outcome[name], Undefined) else outcome[name] for name in metrics}
    return row | {"reasons": {name: str(outcome[name]) for name in metrics if isinstance(outcome[name], Undefined)}}


def score_pairs(
    pairs: Iterable[Pair | Callable[[], Pair]],
    workers: int = 0,
    metrics: Sequence[str] = METRICS,
    pesq_mode: str = "nb",
    progress: Callable[[Iterator[dict]], Iterable[dict]] = iter,
) -> list[dict]:
    """score_pair for many pairs, in their order.

    Args:
        pairs: each a tuple (reference, generated), or a picklable function without arguments that returns one. Such a
            function runs in the worker and may raise Undefined, which then is the reason of every metric.
        workers: processes; 0 or 1 scores in this one. Scripts that ask for more need an ``if __name__ == "__main__"``.
        metrics, pesq_mode: as in score_pair.
        progress: wraps the iterator over finished rows, for a progress bar.
    """
    _check_names(metrics)
    score = functools.partial(_score_item, metrics=tuple(metrics), pesq_mode=pesq_mode)
    if workers <= 1:
        with _one_torch_thread():
            return list(progress(map(score, pairs)))
    # A fork of a process that runs CUDA or threads may hang; the fork server starts clean and imports only once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        return list(progress(pool.map(score, pairs)))


def _score_item(item: Pair | Callable[[], Pair], metrics: tuple[str, ...], pesq_mode: str) -> dict:
    try:
        reference, generated = item() if callable(item) else item
    except Undefined as reason:
        return _without_values(metrics, reason)
    return score_pair(reference, generated, metrics, pesq_mode)


def _without_values(metrics: Sequence[str], reason: Undefined) -> dict:
    return dict.fromkeys(metrics) | {"reasons": dict.fromkeys(metrics, str(reason))}


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Arrays of one pair are too small to gain from threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check_names(metrics: Sequence[str]) -> None:
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise ValueError(f"unknown metric {', '.join(unknown)}; choose from {', '.join(METRICS)}")


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
    result = bootstrap((values,), np.mean, n_resamples=2000, batch=100, method="percentile", rng=seed)
    return [float(bound) for bound in result.confidence_interval]
