"""Offsets by regression: clips whose pictures are a noisy image of their sound, moved by known offsets."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from slts.offsets.regression import regress_offsets


def clips(offsets: list[int], noise: float = 0.5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures (T, 12) and mels (T, 6); the picture lags the sound by so many mel frames."""
    rng = np.random.default_rng(0)
    seen_as = rng.standard_normal((6, 12))
    pictures, mels = [], []
    for offset in offsets:
        sound = gaussian_filter1d(rng.standard_normal((200, 6)), 3, axis=0) * 5
        mels.append(sound[30:170] + 7)
        picture = sound[30 - offset : 170 - offset] @ seen_as
        pictures.append(picture + noise * rng.standard_normal(picture.shape) + 100 * rng.random(12))
    return pictures, mels


def test_offsets_are_found_with_their_sign():
    true = np.random.default_rng(1).integers(-20, 5, 40).tolist()
    found, explained = regress_offsets(*clips(true))
    np.testing.assert_allclose(found, 10 * np.array(true), atol=8)
    assert (explained > 0.8).all() and (explained <= 1).all()


def test_without_anything_to_see_nothing_is_explained():
    _, explained = regress_offsets(*clips([0] * 20, noise=1000.0))
    assert np.median(explained) < 0.3


def test_a_clip_that_is_too_short():
    pictures, mels = clips([0, 0])
    with pytest.raises(ValueError, match="clip 1 is not longer than twice the reach of 250 ms"):
        regress_offsets([pictures[0], pictures[1][:50]], [mels[0], mels[1][:50]])
