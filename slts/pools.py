"""Pools of processes that end, whatever became of one of them and whenever they are interrupted."""

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

LEAVING = 5.0
"""Seconds that processes have for going by themselves after the last job."""


@contextmanager
def ending(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """The pool for a block. With the block its processes and its thread end: by themselves, or at once where the block
    fails.

    Python's own ``with pool`` waits for ever where one of them was killed, for want of memory say, while it waited for
    more after its last job: the lock of the queue dies with it, and the others want that lock before they can see that
    there is no more.
    """
    patience = 0.0
    try:
        yield pool
        patience = LEAVING
    finally:
        processes = list((pool._processes or {}).values())
        thread, results = pool._executor_manager_thread, pool._result_queue
        pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + patience
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
        for process in processes:
            process.kill()
            process.join()
        if thread is not None:
            results._writer.close()  # else the thread waits for the rest of what a killed process was sending
            thread.join(LEAVING)  # Python at its end may meet it closing the pool, and fail


@contextmanager
def _holding_off_interrupts() -> Iterator[None]:
    """Ctrl-C within the block comes after it. Processes that begin in it are told of none until ``interruptible``.

    Python's pools and futures have locks that an interrupt may leave locked, between taking one and noting that it is
    to be given back. The pool's own thread then waits for it for ever, and Python at its end for that thread.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # no interrupt is raised here
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)
        for number in came[:1]:
            signal.raise_signal(number)


def submitted(pool: ProcessPoolExecutor, function: Callable, *arguments: Any) -> Future:
    """A job for the pool, whose processes must call ``interruptible`` first."""
    with _holding_off_interrupts():
        return pool.submit(function, *arguments)


def interruptible() -> None:
    """From here on Ctrl-C, one that came before included, ends this process of a pool at once and without a word.
    Unless it is ignored, as by what a shell runs in the background."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def look_for_finished(futures: Collection[Future]) -> set[Future]:
    """Those of the futures that are finished, empty where none is within half a second. It may be interrupted."""
    with _holding_off_interrupts():
        return wait(futures, timeout=0.5, return_when=FIRST_COMPLETED).done


def awaited(future: Future) -> Any:
    """Its result, as ``future.result()`` gives it, but that waiting for it may be interrupted."""
    while not look_for_finished([future]):
        pass
    return future.result()
