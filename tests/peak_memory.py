"""The largest memory that a process has had."""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Of this process so far, MB. Not resource's maximum, which begins with the memory of whoever started it."""
    return int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())[1]) * 1024 / 1e6
