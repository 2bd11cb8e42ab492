"""Where a curve sampled on a grid peaks between its points."""

import numpy as np


def peak(curve: np.ndarray, index: int) -> float:
    """Where a parabola through a maximum and its neighbours peaks, -0.5..0.5 from it."""
    if index in (0, len(curve) - 1):
        return 0.0
    before, at, after = curve[index - 1 : index + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend else 0.0
