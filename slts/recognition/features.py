"""What the trained recogniser hears: cepstra of the log-mel, free of loudness and channel, each with its neighbours."""

import math

import torch
from torch import Tensor

from slts.audio.mel import BANDS

CEPSTRA = 20
CONTEXT = 5
"""Frames on either side that are seen with a frame."""
WIDTH = CEPSTRA * (2 * CONTEXT + 1)
RANGE = 7.0
"""Nats below the loudest band of a clip at which its mel is floored (61 dB), so that the silence of a recording, of a
vocoder and of digital zeros are alike."""


def cepstra_of(mel: Tensor) -> Tensor:
    """Log-mel (T, 80) to cepstra (T, CEPSTRA), less their mean over the clip."""
    band, order = torch.arange(BANDS), torch.arange(CEPSTRA)
    cosines = torch.cos(math.pi / BANDS * (band[:, None] + 0.5) * order)
    cepstra = mel.clamp_min(mel.max() - RANGE) @ cosines * math.sqrt(2 / BANDS)
    return cepstra - cepstra.mean(0)


def splice(cepstra: Tensor) -> Tensor:
    """Cepstra (T, CEPSTRA) to (T, WIDTH): those of frames t - CONTEXT .. t + CONTEXT in turn; the ends are repeated."""
    padded = torch.cat([cepstra[:1].expand(CONTEXT, -1), cepstra, cepstra[-1:].expand(CONTEXT, -1)])
    return padded.unfold(0, 2 * CONTEXT + 1, 1).transpose(1, 2).flatten(1)


def slopes() -> Tensor:
    """Projection (WIDTH, 3 CEPSTRA) of spliced cepstra to the cepstra, their slope and their curvature."""
    time = torch.arange(-CONTEXT, CONTEXT + 1, dtype=torch.float32)
    still = (time == 0).float()
    slope = time * (time.abs() <= 3) / 28
    bend = (time.square() - 10) / 858
    kernels = torch.stack([still, slope, bend], 1)
    return torch.einsum("tk,cd->tckd", kernels, torch.eye(CEPSTRA)).reshape(WIDTH, 3 * CEPSTRA)
