"""Profiles of known audio-visual offsets, for the generated corpus and for injection into real ones.

Positive: the video lags the audio (what is heard at t is seen at t + offset).
"""

import numpy as np

PROFILES = {
    "none": (0, 0),
    "jitter": (-40, 40),
    "lagged": (-200, 40),
    "chess": (-250, -200),
}
"""Lowest and highest offset in ms, both included; offsets are uniform between them. ``chess`` is like the speaker of
that name in Lip2Wav (SLTS, Fig. 6 and section 5)."""


def draw_offset_ms(profile: str, rng: np.random.Generator) -> int:
    """An offset in whole ms from ``profile``, one of PROFILES (KeyError otherwise)."""
    low, high = PROFILES[profile]
    return int(rng.integers(low, high, endpoint=True))
