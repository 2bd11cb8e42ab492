"""Pairs of sounds scored by an engine."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from rich.console import Console
from rich.progress import track

from slts.data.engine import Engine, run_jobs
from slts.data.parallel import Processes
from slts.memory import keep_freed_memory
from slts.metrics import score_pairs
from slts.metrics.scoring import Pair

CHUNK = 32
"""Pairs a job: some seconds of work."""


@dataclass(frozen=True)
class Chunk:
    """Pairs to score, and the arguments of score_pairs."""

    pairs: Sequence[Pair | Callable[[], Pair]]
    how: dict
    workers: int = 0
    """As of score_pairs."""

    def after_a_death(self) -> "Chunk":
        """In a process of its own, which a crash of PESQ's C code takes down and not the node's."""
        return replace(self, workers=1)


def score_with(engine: Engine, pairs: Sequence[Pair | Callable[[], Pair]], **how) -> list[dict]:
    """As slts.metrics.score_pairs, whose ``metrics``, ``pesq_mode`` and ``stoi`` are ``how``. Raises UserError as
    ``Engine.run``."""
    if isinstance(engine, Processes):  # score_pairs has some of its own, which outlive crashes of PESQ's C code
        bar = partial(track, description="scoring", total=len(pairs), console=Console(stderr=True))
        return score_pairs(pairs, min(engine.workers or len(os.sched_getaffinity(0)), len(pairs)), progress=bar, **how)
    chunks = [Chunk(pairs[first : first + CHUNK], how) for first in range(0, len(pairs), CHUNK)]
    return list(chain.from_iterable(run_jobs(engine, _score_chunk, chunks, "scoring", len(pairs))))


def _score_chunk(chunk: Chunk, tick: Callable[[], None]) -> list[dict]:
    def counted(rows: Iterator[dict]) -> Iterable[dict]:
        for row in rows:
            tick()
            yield row

    keep_freed_memory()
    return score_pairs(chunk.pairs, chunk.workers, progress=counted, **chunk.how)
