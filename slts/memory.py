"""How the C library keeps memory on a CPU."""

import ctypes
import sys

MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = -4, -1, -2


def keep_freed_memory() -> None:
    """Tells glibc to reuse large blocks instead of returning them to the system as soon as they are free.

    Without it each training step, and each pair that is scored, faults the same pages in again. Does nothing elsewhere
    than on Linux with glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 256 << 20)):
            mallopt(option, value)
