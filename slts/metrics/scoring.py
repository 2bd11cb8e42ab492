"""Plain and time-aligned scores of one pair of audio or of many over a process pool."""

import functools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np
import torch

from slts.audio import SAMPLE_RATE
from slts.errors import UserError
from slts.memory import keep_freed_memory
from slts.metrics.alignment import is_at_edge, offsets_ms, overlap
from slts.metrics.columns import COLUMNS, PLAIN, PREDICTED
from slts.metrics.excerpt import Excerpt, Undefined, checked_pair
from slts.metrics.intelligibility import by_pystoi, stoi_estoi
from slts.metrics.quality import pesq
from slts.pools import awaited, ending, interruptible, submitted

COMPARISONS = {
    compare: tuple(name for name in PLAIN if COLUMNS[name].compare is compare)
    for compare in dict.fromkeys(COLUMNS[name].compare for name in PLAIN)
}
"""What is computed on a pair of equal length: the function, and the names of the values that it gives."""
PREDICTIONS = {
    predict: tuple(name for name in PREDICTED if COLUMNS[name].predict is predict)
    for predict in dict.fromkeys(COLUMNS[name].predict for name in PREDICTED)
    if predict
}
"""What is computed on the generated sound alone."""
ALIGNED = tuple(f"a_{name}" for name in PLAIN)
"""The same values on the overlap after the frontend's offset has been taken out."""
WHOLE = tuple(f"{name}_whole" for name in PLAIN)
"""The plain values over the whole length of the reference, with silence where the generated audio is missing."""
OFFSETS = ("frontend_offset_ms", "refined_offset_ms")
METRICS = PLAIN + WHOLE + ALIGNED + OFFSETS
"""Every metric that needs no further package; PREDICTED can be asked for, too."""
USUAL = tuple(name for name in PLAIN + ALIGNED + OFFSETS if not name.endswith("mcd_db"))
"""What is computed unless something else is asked for: the paper's metrics and the refined offset."""
DURATIONS = ("reference_s", "generated_s")
AT_EDGE = "frontend_at_edge"
FACTS = (*DURATIONS, AT_EDGE)
"""What can be asked for besides: seconds of both sides, and whether the frontend's offset lies at +-300 ms. They are
None without a reason of their own where a pair cannot be read or aligned."""

Pair = tuple[np.ndarray, np.ndarray]


def _attempt(compute: Callable, names: Sequence[str], *arguments) -> dict[str, float | Undefined]:
    """The values of ``compute`` by name, or for each name the reason why there is none."""
    try:
        values = compute(*arguments)
    except Undefined as reason:
        return dict.fromkeys(names, reason)
    values = values if isinstance(values, tuple) else (values,)
    return {
        name: value if np.isfinite(value) else Undefined("audio is far too loud for a finite value")
        for name, value in zip(names, values, strict=True)
    }


def _compare(
    pair: tuple[Excerpt, Excerpt], wanted: set[str], by: dict[Callable, Callable]
) -> dict[str, float | Undefined]:
    """The wanted plain values of a pair of equal length; ``by`` holds functions that stand for those of COMPARISONS."""
    outcome: dict[str, float | Undefined] = {}
    for compute, names in COMPARISONS.items():
        if wanted.intersection(names):
            outcome |= _attempt(by.get(compute, compute), names, *pair)
    return outcome


def score_pair(
    reference: np.ndarray,
    generated: np.ndarray,
    metrics: Sequence[str] = USUAL,
    pesq_mode: str = "nb",
    stoi: str = "own",
) -> dict:
    """All chosen metrics of one pair of mono audio (N,), (N',) at 16 kHz in [-1, 1].

    Returns {metric: float or None, ..., "reasons": {metric: why it is None}}. The plain metrics start both signals
    together and cut them to the shorter; the aligned ones (a_...) do so after removing the frontend's offset of the
    generated audio, on the overlap alone; those of the whole reference (..._whole) take what is missing of the
    generated audio for silence. STOI and ESTOI are about 0 to 1, PESQ 1 to 4.55 (4.64 wide band), mcd is a distance,
    mcd_db decibels, predicted opinions (dns_overall, distill_mos) are 1 to 5, offsets are milliseconds, positive when
    the generated audio is late. FACTS may be asked for as well, of which frontend_at_edge is a bool. ``stoi="pystoi"``
    takes STOI and ESTOI of the published package.
    """
    _check_names(metrics)
    by = {pesq: functools.partial(pesq, mode=pesq_mode)} | ({stoi_estoi: by_pystoi} if stoi == "pystoi" else {})
    seconds = [np.size(side) / SAMPLE_RATE for side in (reference, generated)]
    durations = {name: value for name, value in zip(DURATIONS, seconds, strict=True) if name in metrics}
    try:
        reference, generated = checked_pair(reference, generated, equal_lengths=False)
    except Undefined as reason:
        return _without_values(metrics, reason) | durations
    forms = ("{}", "a_{}", "{}_whole")
    plain, aligned, whole = ({name for name in PLAIN if form.format(name) in metrics} for form in forms)
    missing = len(reference) - len(generated)
    outcome: dict[str, float | bool | Undefined] = {**durations}
    for predict, names in PREDICTIONS.items():
        if not set(names).isdisjoint(metrics):
            outcome |= _attempt(predict, names, generated.audio)
    if aligned or {*OFFSETS, AT_EDGE}.intersection(metrics):
        outcome |= _attempt(offsets_ms, OFFSETS, reference, generated)
    offset = outcome.get(OFFSETS[0], 0.0)
    outcome[AT_EDGE] = offset if isinstance(offset, Undefined) else is_at_edge(offset)
    if missing > 0 and whole:
        padded = _compare((reference, Excerpt(np.pad(generated.audio, (0, missing)))), whole, by)
        outcome |= {f"{name}_whole": value for name, value in padded.items()}
    elif whole:
        plain = plain | whole

    unshifted = overlap(reference, generated)
    if isinstance(offset, Undefined):
        outcome |= _compare(unshifted, plain, by) | dict.fromkeys(ALIGNED, offset)
    elif offset == 0:
        same = _compare(unshifted, plain | aligned, by)
        outcome |= same | {f"a_{name}": value for name, value in same.items()}
    else:
        cut = overlap(reference, generated, offset)
        if not plain:  # nothing to share, so no need to analyse what lies outside the cut
            cut = Excerpt(cut[0].audio), Excerpt(cut[1].audio)
        shifted = _compare(cut, aligned, by)
        outcome |= _compare(unshifted, plain, by) | {f"a_{name}": value for name, value in shifted.items()}
    if missing <= 0:
        outcome |= {f"{name}_whole": outcome[name] for name in whole}

    row = {name: None if isinstance(outcome[name], Undefined) else outcome[name] for name in metrics}
    undefined = [name for name in metrics if isinstance(outcome[name], Undefined) and name not in FACTS]
    return row | {"reasons": {name: str(outcome[name]) for name in undefined}}


def score_pairs(
    pairs: Iterable[Pair | Callable[[], Pair]],
    workers: int = 0,
    metrics: Sequence[str] = USUAL,
    pesq_mode: str = "nb",
    progress: Callable[[Iterator[dict]], Iterable[dict]] = iter,
    stoi: str = "own",
) -> list[dict]:
    """score_pair for many pairs, in their order.

    Args:
        pairs: each a tuple (reference, generated), or a picklable function without arguments that returns one. Such a
            function runs in the worker and may raise Undefined, which then is the reason of every metric.
        workers: processes; 0 scores in this one, where a crash of PESQ's C code takes everything down. With 1 or more
            the pair that crashed gets no value, the reason says so, and the rest is scored. Scripts that ask for
            processes need an ``if __name__ == "__main__"``.
        metrics, pesq_mode, stoi: as in score_pair.
        progress: wraps the iterator over finished rows, for a progress bar.
    """
    _check_names(metrics)
    score = functools.partial(_score_item, metrics=tuple(metrics), pesq_mode=pesq_mode, stoi=stoi)
    if workers:
        return list(progress(_scored_in_pools(list(pairs), workers, tuple(metrics), score)))
    with _one_torch_thread():
        return list(progress(map(score, pairs)))


def predicted_by(mos: Sequence[str]) -> tuple[str, ...]:
    """The columns of predictors of opinion, ``["dnsmos"]`` for example.

    Raises UserError where there is none of a name, or its package is not installed.
    """
    known = {predict.__name__: (predict, names) for predict, names in PREDICTIONS.items()}
    if unknown := sorted({str(name) for name in mos} - set(known)):
        raise UserError(f"mos: unknown {', '.join(unknown)}; choose from {', '.join(known)}")
    for name in mos:
        _attempt(*known[name], np.sin(np.arange(SAMPLE_RATE)))
    return tuple(column for name in known if name in mos for column in known[name][1])


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork of a process that runs CUDA or threads may hang; the fork server starts clean and imports only once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return ProcessPoolExecutor(workers, context, _start_worker)


def _start_worker() -> None:
    interruptible()
    torch.set_num_threads(1)
    keep_freed_memory()


def _scored_in_pools(pairs: list, workers: int, metrics: tuple[str, ...], score: Callable) -> Iterator[dict]:
    """Rows in the order of the pairs. A process that dies breaks its pool; the next one goes on with what is left."""
    futures: dict[int, Future] = {}
    at = 0
    while at < len(pairs):
        with ending(_pool(min(workers, len(pairs) - at))) as pool:
            try:
                for index in range(at, len(pairs)):
                    if index not in futures or isinstance(futures[index].exception(), BrokenProcessPool):
                        futures[index] = submitted(pool, score, pairs[index])
                while at < len(pairs):
                    row = awaited(futures.pop(at))
                    at += 1
                    yield row
                return
            except BrokenProcessPool:
                pass
        yield _row_alone(pairs[at], metrics, score)
        at += 1


def _row_alone(pair: Pair | Callable[[], Pair], metrics: tuple[str, ...], score: Callable) -> dict:
    """The row of a pair that was at work, or next, when a process died: in processes of its own, at last without PESQ.

    Raises BrokenProcessPool if processes cannot start at all.
    """
    without_pesq = tuple(name for name in metrics if name not in ("pesq", "a_pesq"))
    for attempted, reason in ((metrics, ""), (without_pesq, "PESQ crashed")):
        with ending(_pool(1)) as pool:
            try:
                row = awaited(submitted(pool, functools.partial(score, metrics=attempted), pair))
            except BrokenProcessPool:
                continue
        lost = {name: reason for name in metrics if name not in attempted}
        ordered = {name: row.get(name) for name in metrics}
        return ordered | {"reasons": {n: r for n in metrics if (r := (row["reasons"] | lost).get(n))}}
    with ending(_pool(1)) as pool:
        awaited(submitted(pool, int))
    return _without_values(metrics, Undefined("reading or scoring it crashed"))


def _score_item(item: Pair | Callable[[], Pair], metrics: tuple[str, ...], pesq_mode: str, stoi: str) -> dict:
    try:
        reference, generated = item() if callable(item) else item
    except Undefined as reason:
        return _without_values(metrics, reason)
    return score_pair(reference, generated, metrics, pesq_mode, stoi)


def _without_values(metrics: Sequence[str], reason: Undefined) -> dict:
    struck = [name for name in metrics if name not in FACTS]
    return dict.fromkeys(metrics) | {"reasons": dict.fromkeys(struck, str(reason))}


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
    if unknown := sorted(set(metrics) - {*METRICS, *PREDICTED, *FACTS}):
        raise ValueError(f"unknown metric {', '.join(unknown)}; choose from {', '.join(METRICS)}")
