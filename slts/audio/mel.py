"""The log-mel spectrogram: window 640, hop 160, 80 Slaney bands of 0-8000 Hz, natural log floored at 1e-5.

Frame j is centred on sample 160 j, so its time is exactly j x 10 ms (SLTS section 4.3 gives window and hop; bands and
floor are not stated there and follow VCA-GAN's and Lip2Speech-Unit's front ends).
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from slts.audio import SAMPLE_RATE

WINDOW = 640
HOP = 160
BANDS = 80
MEL_RATE = SAMPLE_RATE // HOP
"""Mel frames a second."""
FLOOR = 1e-5


def slaney_filters(bands: int = BANDS, low: float = 0.0, high: float = SAMPLE_RATE / 2, window: int = WINDOW) -> Tensor:
    """Area-normalised triangular filters on Slaney's mel scale: (bands, window // 2 + 1), float32."""
    knee, slope, log_step = 1000.0, 200.0 / 3, np.log(6.4) / 27

    def to_mel(hz: float) -> float:
        return hz / slope if hz < knee else knee / slope + np.log(hz / knee) / log_step

    mels = np.linspace(to_mel(low), to_mel(high), bands + 2)
    edges = np.where(mels < knee / slope, mels * slope, knee * np.exp(log_step * (mels - knee / slope)))
    hz = np.arange(window // 2 + 1) * (SAMPLE_RATE / window)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy(triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


@lru_cache(maxsize=16)
def _filters(device: torch.device, low: float, high: float) -> Tensor:
    with torch.inference_mode(False):  # cached tensors must serve training too
        return slaney_filters(low=low, high=high).to(device)


@lru_cache(maxsize=8)
def _window(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.hann_window(WINDOW, device=device)


def magnitude(audio: Tensor) -> Tensor:
    """Magnitude spectrogram of audio (B, N): (B, WINDOW // 2 + 1, N // HOP + 1), in the precision of float32."""
    window = _window(audio.device)
    spectrum = torch.stft(
        audio.float(), WINDOW, HOP, WINDOW, window, center=True, pad_mode="constant", return_complex=True
    )
    # The square root has no gradient at zero, and digital silence is common.
    return (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-12).sqrt()


def log_mel(audio: Tensor) -> Tensor:
    """Log-mel of audio (B, N) in [-1, 1]: (B, N // HOP, BANDS), natural log, at least log(1e-5).

    The last of torch's N // HOP + 1 frames is half outside the signal and is dropped, so that a video of T_v frames at
    25 Hz and its audio give 4 T_v mel frames.
    """
    return log_bands(magnitude(audio)[:, :, : audio.shape[-1] // HOP])


def log_bands(spectrum: Tensor, low: float = 0.0, high: float = SAMPLE_RATE / 2) -> Tensor:
    """Natural log of the BANDS mel bands between ``low`` and ``high`` Hz of a magnitude spectrogram (B, 321, T):
    (B, T, BANDS), at least log(1e-5)."""
    with torch.autocast(spectrum.device.type, enabled=False):
        mel = torch.einsum("bft,mf->btm", spectrum, _filters(spectrum.device, low, high))
    return mel.clamp_min(FLOOR).log()
