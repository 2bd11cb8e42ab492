"""Wav2Lip's front end: 80 mel bands of 55-7600 Hz in decibels, 80 frames a second, in [-4, 4].

Prajwal et al. (arXiv 2008.10010), with the constants of the published code. The level is not normalised: twice the
amplitude is 0.48 more. Frame j is centred on sample 200 j, so its time is exactly j x 12.5 ms.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from slts.audio.mel import BANDS, slaney_filters

WINDOW, HOP = 800, 200
RATE = 80
"""Mel frames a second."""
SILENCE, LOUDEST = -4.0, 4.0
PRE_EMPHASIS = 0.97
LOW, HIGH = 55.0, 7600.0
"""Hz."""
FLOOR = 1e-5
REFERENCE_DB, RANGE_DB = 20.0, 100.0
"""Decibels taken off; decibels that the 8 units from SILENCE to LOUDEST stand for."""


def lipsync_mel(audio: Tensor) -> Tensor:
    """Audio (B, N) in [-1, 1], N > 400: (B, 1 + N // 200, 80) in [-4, 4]; silence is exactly -4."""
    with torch.autocast(audio.device.type, enabled=False):
        audio = audio.float()
        emphasised = torch.cat([audio[:, :1], audio[:, 1:] - PRE_EMPHASIS * audio[:, :-1]], -1)
        padded = functional.pad(emphasised, (WINDOW // 2, WINDOW // 2), mode="reflect")
        window, filters = _constants(audio.device)
        spectrum = torch.stft(padded, WINDOW, HOP, WINDOW, window, center=False, return_complex=True).abs()
        bands = torch.einsum("bft,mf->btm", spectrum, filters)
        decibels = 20 * bands.clamp_min(FLOOR).log10() - REFERENCE_DB
        span = LOUDEST - SILENCE
        return (span * (decibels + RANGE_DB) / RANGE_DB + SILENCE).clamp(SILENCE, LOUDEST)


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # cached tensors must serve training too
        return torch.hann_window(WINDOW, device=device), slaney_filters(BANDS, LOW, HIGH, WINDOW).to(device)
