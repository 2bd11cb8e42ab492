"""Pairs of sounds scored on the nodes of a cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from slts.data.cluster import Cluster
from slts.data.parallel import run_jobs
from slts.metrics import score_pairs

CHUNK = 64
"""Pairs a job: some seconds of work, in which starting a process for them does not count."""


@dataclass(frozen=True)
class Chunk:
    """Pairs to score, and the arguments of score_pairs."""

    pairs: Sequence[Callable]
    how: dict


def score_on(cluster: Cluster, pairs: Sequence[Callable], workers: int, **how) -> list[dict]:
    """As slts.metrics.score_pairs, whose ``metrics``, ``pesq_mode`` and ``stoi`` are ``how``; a pair is a picklable
    function that reads it. ``workers`` is as in run_jobs, and so is what it raises."""
    chunks = [Chunk(pairs[first : first + CHUNK], how) for first in range(0, len(pairs), CHUNK)]
    rows = run_jobs(_score_chunk, chunks, workers, "scoring", len(pairs), cluster=cluster)
    return list(chain.from_iterable(rows))


def _score_chunk(chunk: Chunk, tick: Callable[[], None]) -> list[dict]:
    def counted(rows: Iterator[dict]) -> Iterable[dict]:
        for row in rows:
            tick()
            yield row

    # In a process of its own, since a crash of PESQ's C code would take Ray's process down.
    return score_pairs(chunk.pairs, 1, progress=counted, **chunk.how)
