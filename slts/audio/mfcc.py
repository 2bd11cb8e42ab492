"""MFCCs as SyncNet hears them, in torch and in batches."""

import math
from functools import lru_cache

import torch
from python_speech_features import get_filterbanks
from torch import Tensor

from slts.audio import SAMPLE_RATE

WINDOW, HOP, FFT = 400, 160, 512
FILTERS, COEFFICIENTS = 26, 13
LIFTER = 22
TINY = 2.220446049250313e-16
"""Stands for an energy of exactly zero."""


def mfcc(audio: Tensor) -> Tensor:
    """``python_speech_features.mfcc`` at its defaults of the 16-bit samples of audio (B, N) in [-1, 1] at 16 kHz.

    Returns:
        (B, T, 13), T = 1 + ceil((N - 400) / 160); frame j hears the 25 ms from 10 j ms on. c0 is the log energy.
    """
    filters, cosines = (part.to(audio.device) for part in _constants())
    signal = audio.float() * 32768
    signal = torch.cat([signal[:, :1], signal[:, 1:] - 0.97 * signal[:, :-1]], dim=1)
    count = 1 + max(0, -(-(signal.shape[1] - WINDOW) // HOP))
    signal = torch.nn.functional.pad(signal, (0, (count - 1) * HOP + WINDOW - signal.shape[1]))
    power = torch.fft.rfft(signal.unfold(1, WINDOW, HOP), FFT).abs().square() / FFT
    energy, bands = power.sum(-1), power @ filters
    cepstra = torch.where(bands == 0, TINY, bands).log() @ cosines
    return torch.cat([torch.where(energy == 0, TINY, energy).log()[..., None], cepstra[..., 1:]], dim=-1)


@lru_cache(maxsize=1)
def _constants() -> tuple[Tensor, Tensor]:
    """Mel filters (257, 26), and the orthonormal cosine transform with the lifter's weights (26, 13)."""
    filters = torch.from_numpy(get_filterbanks(FILTERS, FFT, SAMPLE_RATE).T.copy()).float()
    band, order = torch.arange(FILTERS, dtype=torch.float64), torch.arange(COEFFICIENTS, dtype=torch.float64)
    cosines = torch.cos(math.pi / FILTERS * (band[:, None] + 0.5) * order) * math.sqrt(2 / FILTERS)
    cosines[:, 0] /= math.sqrt(2)
    return filters, (cosines * (1 + LIFTER / 2 * torch.sin(math.pi * order / LIFTER))).float()
