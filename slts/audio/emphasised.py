"""VCA-GAN's front end: high-passed, pre-emphasised audio at a fixed peak; its mel in [-1, 1], its linear magnitude.

Frames are those of ``slts.audio.mel``: frame j is centred on sample 160 j. The band is VCA-GAN's; the range that
[-1, 1] stands for is ours.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from slts.audio import SAMPLE_RATE
from slts.audio.mel import FLOOR, HOP, log_bands, magnitude, slaney_filters

PEAK = 0.9
MOST_GAIN = 20.0
"""Largest gain on the way to PEAK, so that the noise of a silent piece stays noise."""
PRE_EMPHASIS = 0.97
CUTOFF, ORDER = 55.0, 7
"""Hz and order of the Butterworth high-pass, which runs forwards and backwards (zero phase)."""
LOW, HIGH = 55.0, 7500.0
"""Hz, the mel's band."""
QUIETEST, LOUDEST = math.log(FLOOR), 2.0
"""Log-mels that -1 and 1 stand for; speech at PEAK stays below LOUDEST."""
_DECAY = SAMPLE_RATE // 4
"""Samples after which the filters have died away, to 1e-5 and less."""


def spectra(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Audio (B, N) -> mel (B, T, 80) in [-1, 1] and magnitude (B, T, 321) of the prepared audio, T = N // 160."""
    linear = magnitude(prepare(audio))[:, :, : audio.shape[-1] // HOP]
    return scale(log_bands(linear, LOW, HIGH)), linear.transpose(1, 2)


def prepare(audio: Tensor) -> Tensor:
    """High-passed, brought to PEAK, pre-emphasised: (B, N)."""
    passed = high_pass(audio.float())
    gain = (PEAK / passed.abs().amax(-1, keepdim=True).clamp_min(1e-9)).clamp_max(MOST_GAIN)
    passed = passed * gain
    return torch.cat([passed[:, :1], passed[:, 1:] - PRE_EMPHASIS * passed[:, :-1]], -1)


def high_pass(audio: Tensor) -> Tensor:
    """Zero-phase Butterworth (bilinear transform), whose response is the square of one pass's magnitude."""

    def response(omega: Tensor) -> Tensor:
        edge = math.tan(math.pi * CUTOFF / SAMPLE_RATE)
        return 1 / (1 + (edge / torch.tan(omega / 2).clamp_min(1e-6)) ** (2 * ORDER))

    return _filtered(audio, response)


def de_emphasise(audio: Tensor) -> Tensor:
    """Undoes the pre-emphasis of (B, N): y_n = x_n + 0.97 y_(n-1)."""
    return _filtered(audio, lambda omega: 1 / (1 - PRE_EMPHASIS * torch.exp(-1j * omega)))


def scale(log_mel: Tensor) -> Tensor:
    """Natural-log mel to [-1, 1]."""
    return ((log_mel - QUIETEST) * (2 / (LOUDEST - QUIETEST)) - 1).clamp(-1, 1)


def unscale(mel: Tensor) -> Tensor:
    """[-1, 1] to natural-log mel."""
    return (mel + 1) * ((LOUDEST - QUIETEST) / 2) + QUIETEST


def spread(mel: Tensor) -> Tensor:
    """Mel (B, T, 80) in [-1, 1] -> magnitude (B, T, 321) without harmonics: each bin is a mean of the bands that hear
    it; a bin outside the mel's band is as the nearest one inside."""
    with torch.autocast(mel.device.type, enabled=False):
        return unscale(mel.float()).exp() @ _spreading(mel.device)


@lru_cache(maxsize=8)
def _spreading(device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # cached tensors must serve training too
        filters = slaney_filters(low=LOW, high=HIGH)
        heard = filters.sum(0).nonzero().squeeze(1)
        nearest = torch.arange(filters.shape[1]).clamp(heard[0], heard[-1])
        return (filters / (filters.sum(1) @ filters).clamp_min(1e-12))[:, nearest].to(device)


def _filtered(audio: Tensor, response) -> Tensor:
    """audio through a frequency response of radians a sample; silence before and after."""
    size = audio.shape[-1] + 2 * _DECAY
    spectrum = torch.fft.rfft(audio, size)
    omega = torch.linspace(0, math.pi, spectrum.shape[-1], dtype=torch.float64, device=audio.device)
    return torch.fft.irfft(spectrum * response(omega).to(spectrum.dtype), size)[..., : audio.shape[-1]]
