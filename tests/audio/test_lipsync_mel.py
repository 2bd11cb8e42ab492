"""Wav2Lip's mel against a test vector computed with the published front end's constants."""

import math

import numpy as np
import pytest
import torch

from slts.audio.lipsync_mel import lipsync_mel


def vector() -> torch.Tensor:
    t = np.arange(16000) / 16000
    chirp = np.cos(2 * np.pi * (100 * t + (6000 - 100) / 2 * t**2))
    sound = 0.3 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 1800 * t + 0.5) + 0.1 * chirp
    sound = sound.astype(np.float32)
    sound[8000] += 0.5
    return torch.from_numpy(sound)


def test_the_published_front_end():
    mel = lipsync_mel(vector()[None])[0].T
    assert mel.shape == (80, 81)
    assert float(mel.double().sum()) == pytest.approx(-20152.7448, abs=0.05)
    known = {(10, 0): -1.50100, (10, 40): -1.37706, (40, 40): 0.31521, (79, 80): -0.17570}
    for (band, frame), value in known.items():
        assert float(mel[band, frame]) == pytest.approx(value, abs=2e-4)


def test_silence_and_level():
    assert (lipsync_mel(torch.zeros(1, 3200)) == -4).all()
    quiet, loud = lipsync_mel(torch.stack([vector(), 2 * vector()]))
    inside = (quiet > -4) & (loud < 4)
    assert inside.any()
    louder = (loud - quiet)[inside]
    torch.testing.assert_close(louder, torch.full_like(louder, 8 * 20 * math.log10(2) / 100), atol=1e-3, rtol=0)
