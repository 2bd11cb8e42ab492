"""How far a profile of matches is to be believed: evidence, and a logistic calibration on people held out."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from slts.audio.mel import MEL_RATE

REACH = 100
"""Mel frames to either side to which profiles are looked at; beyond the offsets searched, they show chance."""
SIDE = 8
"""Mel frames around the highest place that belong to it."""
EVIDENCE = ("height", "over_far", "over_chance", "over_second", "sharpness", "log_seconds")


def evidence(profiles: np.ndarray, chance: np.ndarray, frames: np.ndarray, radius: int) -> np.ndarray:
    """What tells a right peak from a wrong one.

    Args:
        profiles: (B, 2 REACH + 1), mean products at each shift.
        chance: (B, 2 REACH + 1), those of the same sound in the opposite order.
        frames: (B,) mel frames of each clip.
        radius: K, largest offset searched, mel frames.

    Returns:
        (B, 6), the columns of EVIDENCE.
    """
    shifts = np.arange(-REACH, REACH + 1)
    middle = profiles[:, REACH - radius : REACH + radius + 1]
    place = middle.argmax(1) - radius
    high = middle.max(1)
    near = np.abs(shifts - place[:, None]) <= SIDE
    others = np.ma.array(profiles, mask=near)
    mean, deviation = others.mean(1).filled(0), others.std(1).filled(1) + 1e-4
    second = np.ma.array(middle, mask=near[:, REACH - radius : REACH + radius + 1]).max(1).filled(0)
    among = chance[:, REACH - radius : REACH + radius + 1]
    around = profiles[np.arange(len(profiles))[:, None], np.clip(place[:, None] + REACH + [-SIDE, SIDE], 0, 2 * REACH)]
    seconds = frames / MEL_RATE
    return np.stack(  # brought to about 0..10
        [
            (high - mean) * 20,
            (high - mean) / deviation,
            (high - among.max(1)) / (among.std(1) + 1e-4),
            (high - second) / deviation,
            (high - around.mean(1)) * 20,
            np.log(seconds),
        ],
        axis=1,
    )


@dataclass(frozen=True)
class Calibration:
    """A logistic regression on evidence, and where it is believed."""

    weights: list[float]
    """One for each of EVIDENCE."""
    bias: float
    threshold: float
    """Confidence from which an offset is told."""
    radius: int
    """Largest offset searched, mel frames."""
    constant_ms: float = 0.0
    """Taken from every offset: the median over people held out."""

    def confidence(self, found: np.ndarray) -> np.ndarray:
        """Probability (B,) that the offset is right, from evidence (B, 6)."""
        return 1 / (1 + np.exp(-np.clip(found @ np.array(self.weights) + self.bias, -50, 50)))


def fit(found: np.ndarray, right: np.ndarray, weight: np.ndarray, ridge: float = 1e-2) -> tuple[list[float], float]:
    """Weights and bias of the logistic regression: evidence (B, 6), whether each was right (B,), its weight (B,)."""
    mean, deviation = found.mean(0), found.std(0) + 1e-6
    scaled = (found - mean) / deviation
    sign = 2.0 * right - 1

    def loss(parameters):
        margin = sign * (scaled @ parameters[:-1] + parameters[-1])
        return (weight * np.logaddexp(0, -margin)).sum() / weight.sum() + ridge * np.square(parameters[:-1]).sum()

    best = minimize(loss, np.zeros(found.shape[1] + 1), method="L-BFGS-B").x
    weights = best[:-1] / deviation
    return weights.tolist(), float(best[-1] - (weights * mean).sum())
