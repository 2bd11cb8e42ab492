"""Jobs in processes of one thread each, here or on a cluster, with a progress bar by item."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from slts.errors import UserError

if TYPE_CHECKING:
    from slts.data.cluster import Cluster


def run_jobs(
    function: Callable,
    jobs: Sequence,
    workers: int,
    title: str,
    items: int,
    done: int = 0,
    cluster: "Cluster | None" = None,
) -> list:
    """Call ``function(job, tick)`` for every job; the results in the order of the jobs.

    Args:
        function: a function of a module; it calls ``tick()`` after every item of its job.
        jobs: what it is called with; picklable.
        workers: processes; 1 works in this one, 0 is one a core.
        title: shown before the bar.
        items: of all jobs together, and of those ``done`` before.
        cluster: takes the jobs in place of this machine; ``workers`` of them at once, and 0 is one a core of it.
    """
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=items, completed=done)
        advance = partial(progress.advance, bar)
        if cluster:
            return cluster.run(function, jobs, workers, advance)
        workers = min(workers or os.cpu_count(), len(jobs))
        if workers > 1:
            return _run_in_pool(function, jobs, workers, advance)
        threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
        one_thread()
        try:
            return [function(job, advance) for job in jobs]
        finally:
            torch.set_num_threads(threads)
            cv2.setNumThreads(cv_threads)


def _run_in_pool(function: Callable, jobs: Sequence, workers: int, advance: Callable[[int], None]) -> list:
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    seen = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(done,))
    try:
        futures = [pool.submit(_call_in_worker, function, job) for job in jobs]
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            advance(done.value - seen)
            seen = done.value
        pool.shutdown()
        return [future.result() for future in futures]
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
            process.join(5)
        if isinstance(error, BrokenProcessPool):
            raise UserError("a worker process died, perhaps for want of memory; run again with fewer workers") from None
        raise


_done: Any = None
"""Counter of items, shared with the main process; set in workers only."""


def _start_worker(done) -> None:
    global _done
    _done = done
    one_thread()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a worker
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def one_thread() -> None:
    """Processes share the cores, and sums do not depend on their number."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _call_in_worker(function: Callable, job):
    def tick() -> None:
        with _done.get_lock():
            _done.value += 1

    return function(job, tick)
