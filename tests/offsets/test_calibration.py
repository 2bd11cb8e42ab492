"""The constant of a system's offsets from what single frames show."""

import numpy as np
import pytest

from slts.offsets.calibration import offset_constant


def clips(constant_ms: float, count: int = 12, frames: int = 260, reach_ms: float = 120.0, seed: int = 0):
    """Features that see the mouth now, mels of a sound with offset o, and offsets found too large by a constant."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(6, 80))
    features, mels, found = [], [], []
    for _ in range(count):
        offset = int(rng.integers(-reach_ms // 10, reach_ms // 10 + 1))
        mouth = np.cumsum(rng.normal(size=(frames + 200, 6)), axis=0)
        mouth -= np.array([np.convolve(column, np.ones(30) / 30, "same") for column in mouth.T]).T
        seen = mouth[100 : 100 + frames]
        heard = mouth[100 + offset : 100 + offset + frames]  # seen at t + offset what is heard at t
        features.append(np.hstack([seen, seen**2]) + 0.3 * rng.normal(size=(frames, 12)))
        mels.append(heard @ mixing + rng.normal(size=(frames, 80)))
        found.append(10.0 * offset + constant_ms)
    return features, mels, np.array(found)


@pytest.mark.parametrize("constant", [0.0, 150.0, -90.0])
def test_finds_the_constant_at_both_signs(constant):
    result = offset_constant(*clips(constant))
    assert abs(result.constant_ms - constant) < 3
    assert not result.at_edge
    assert 0.5 < result.explained.max() < 1


def test_between_frames_the_parabola_finds_it():
    features, mels, found = clips(0.0)
    halfway = [(m[1:] + m[:-1]) / 2 for m in mels]  # heard half a frame earlier than before
    result = offset_constant([f[1:] for f in features], halfway, found)
    assert abs(result.constant_ms - 5) < 1.5 or abs(result.constant_ms + 5) < 1.5


def test_a_constant_beyond_the_reach_is_reported_as_such():
    assert offset_constant(*clips(150.0), reach=13).at_edge


def test_clips_too_short_are_refused():
    with pytest.raises(ValueError, match="long enough"):
        offset_constant([np.zeros((20, 4))], [np.zeros((20, 80))], np.zeros(1))
