"""STOI between log-mels: a loss for systems whose waveform comes from the mel without a trained vocoder.

The third-octave envelopes of STOI are summed from the mel's bands rather than taken from a waveform, and its segments
of 384 ms become 38 mel frames. The value follows STOI but is not one to be reported.
"""

from functools import lru_cache

import torch
from torch import Tensor

from slts.audio import SAMPLE_RATE
from slts.audio.mel import FLOOR, WINDOW, slaney_filters
from slts.audio.stoi import BANDS, CLIP, LOWEST_CENTRE

SEGMENT = 38
"""Mel frames over which envelopes are compared."""
STRIDE = 2
"""Frames between segments; neighbours say nearly the same."""
SILENCE = 1e-4
"""Frames this far (40 dB in power) below a clip's loudest are what STOI would remove."""


@lru_cache(maxsize=8)
def _third_octaves(device: torch.device) -> Tensor:
    """How much the power of each mel band counts in each third octave, (80, 15)."""
    hz = torch.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    centre = LOWEST_CENTRE * 2 ** (torch.arange(BANDS) / 3)
    inside = (hz[:, None] >= centre * 2 ** (-1 / 6)) & (hz[:, None] < centre * 2 ** (1 / 6))
    return (slaney_filters() @ inside.float()).to(device)


def _segments(values: Tensor) -> Tensor:
    return values.unfold(1, SEGMENT, STRIDE)


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(FLOOR)


def mel_intelligibility(reference: Tensor, generated: Tensor, valid: Tensor) -> Tensor:
    """Mean correlation of third-octave envelopes over the audible segments of each clip: (B,), at most 1, float32.

    Args:
        reference, generated: natural-log mels (B, T, 80), T >= 38.
        valid: (B, T) bool; a segment with any other frame does not count. A clip without a segment gives 0.
    """
    with torch.autocast(reference.device.type, enabled=False):
        power = (2 * torch.stack([reference.float(), generated.float()])).exp()
        frame_power = power[0].sum(-1) * valid
        audible = frame_power > SILENCE * frame_power.amax(1, keepdim=True)
        weight = _segments(valid.float()).amin(-1) * _segments(audible.float()).mean(-1)

        envelopes = (power @ _third_octaves(power.device)).clamp_min(FLOOR**2).sqrt()
        x, y = (_segments(envelope.transpose(1, 2).flatten(0, 1)) for envelope in envelopes)
        y = torch.minimum(y * (_norm(x) / _norm(y)), x * CLIP)
        x, y = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
        correlation = (x / _norm(x) * (y / _norm(y))).sum(-1)
        correlation = correlation.unflatten(0, (-1, BANDS)).mean(1)
        return (correlation * weight).sum(1) / weight.sum(1).clamp_min(1e-6)
