"""Jobs in processes of this machine, of one thread each."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import torch

from slts.errors import UserError
from slts.pools import ending, interruptible, look_for_finished, submitted


@dataclass(frozen=True)
class Processes:
    """See slts.data.engine.Engine."""

    workers: int | None = None
    """None and 1 work in this process."""

    def run(self, function: Callable, jobs: Sequence, advance: Callable[[int], None]) -> Iterator:
        workers = min(os.cpu_count() if self.workers == 0 else self.workers or 1, len(jobs))
        if workers > 1:
            yield from _run_in_pool(function, jobs, workers, advance)
            return
        for job in jobs:
            with _threads_of(self.workers):
                result = function(job, lambda: advance(1))
            yield result


HERE = Processes()
"""This process."""


def _run_in_pool(function: Callable, jobs: Sequence, workers: int, advance: Callable[[int], None]) -> Iterator:
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    seen = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(done,))
    try:
        with ending(pool):
            futures = [submitted(pool, _call_in_worker, function, job) for job in jobs]
            waiting = set(futures)
            for future in futures:
                while future in waiting:
                    finished = look_for_finished(waiting)
                    waiting -= finished
                    for one in finished:
                        one.result()
                    # Read without its lock, which a process that is killed may hold.
                    ticks = done.get_obj().value
                    advance(ticks - seen)
                    seen = ticks
                yield future.result()
    except BrokenProcessPool:
        raise UserError("a worker process died, perhaps for want of memory; run again with fewer workers") from None


_done: Any = None
"""Counter of items, shared with the main process; set in workers only."""


def _start_worker(done) -> None:
    global _done
    _done = done
    one_thread()
    interruptible()
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a worker
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _call_in_worker(function: Callable, job):
    def tick() -> None:
        with _done.get_lock():
            _done.value += 1

    return function(job, tick)


def one_thread() -> None:
    """Processes share the cores, and sums do not depend on their number."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


@contextmanager
def _threads_of(workers: int | None) -> Iterator[None]:
    """One thread for as long as a job runs here, or all where ``workers`` is None."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    if workers is not None:
        one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)
