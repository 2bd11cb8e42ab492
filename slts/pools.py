"""Pools of processes that end, whatever became of one of them."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

LEAVING = 5.0
"""Seconds that processes have for going by themselves after the last job."""


@contextmanager
def ending(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """The pool for a block. With the block its processes end: by themselves, or at once where the block fails.

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
        pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + patience
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
        for process in processes:
            process.kill()
            process.join()
