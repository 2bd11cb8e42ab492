"""How the C library keeps memory on a CPU, and how much a process has had."""

import ctypes
import re
import resource
import sys
from pathlib import Path

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


def peak_bytes() -> int:
    """The most memory that this process has had at once."""
    status = Path("/proc/self/status")  # on Linux resource's maximum begins with the memory of whoever started it
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
