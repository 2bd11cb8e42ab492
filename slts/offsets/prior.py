"""What the other clips of a corpus say of a clip's offset: the prior P(k) of a corpus, found without labels.

Clips that were recorded alike are out of sync alike. Where a picture tells little, P(k) of one clip is flat or has
peaks far apart, and its highest place may be anywhere; times the prior, it is where the corpus's offsets are.
A wrong place that many clips share draws the prior to it: what is wrong must be wrong anywhere.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

ROUNDS = 30
"""Of expectation-maximisation."""
SMOOTH = 2.0
"""Standard deviation in mel frames of the Gaussian that smooths the prior, which few clips leave ragged."""
ANYWHERE = 0.02
"""Share of the clips that may have any offset."""
NEAR = 2
"""Mel frames to either side of the highest place over whose mean an offset is told between frames."""


def corpus_prior(distributions: np.ndarray) -> np.ndarray:
    """P(k) of a corpus (2 K + 1,) from P(k) of its clips (clips, 2 K + 1), by expectation-maximisation: the prior is
    the mean of what the clips' offsets are believed to be under it."""
    size = distributions.shape[1]
    prior = np.full(size, 1 / size)
    for _ in range(ROUNDS):
        smooth = gaussian_filter1d(with_prior(distributions, prior).mean(0), SMOOTH, mode="constant")
        prior = (1 - ANYWHERE) * smooth / smooth.sum() + ANYWHERE / size
    return prior


def with_prior(distributions: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """P(k) of each clip (clips, 2 K + 1) when ``prior`` (2 K + 1,) is known of the corpus."""
    joint = distributions.astype(np.float64) * prior + 1e-300
    return joint / joint.sum(1, keepdims=True)


def most_likely(distributions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (clips,) in mel frames, between frames by the mean of P(k) around its highest place, and the probability
    (clips,) within one mel frame of that place."""
    radius = distributions.shape[1] // 2
    best = distributions.argmax(1)
    away = np.abs(np.arange(distributions.shape[1]) - best[:, None])
    near = distributions * (away <= NEAR)
    mean = (near * np.arange(-radius, radius + 1)).sum(1) / near.sum(1)
    return mean, (distributions * (away <= 1)).sum(1)
