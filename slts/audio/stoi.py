"""STOI and ESTOI as differentiable tensor functions.

STOI: Taal et al., IEEE TASLP 2011. ESTOI: Jensen and Taal, IEEE TASLP 2016. Constants, resampler and framing are those
of the published MATLAB code and of pystoi. ``short_time_intelligibility`` leaves out the removal of silent frames and
serves as loss and quick batched check; ``slts.metrics.intelligibility`` puts the removal in front for exact scores.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

RATE = 10000
"""Hz at which STOI is defined."""
UP, DOWN = 5, 8
"""16 kHz x 5 / 8 = 10 kHz."""
OUTPUTS = 80
"""Samples at 10 kHz made by one row of the resampling product; a multiple of UP that keeps it fast on any device."""
FRAME, HOP, FFT = 256, 128, 512
BANDS, LOWEST_CENTRE = 15, 150.0
SEGMENT = 30
"""Frames (384 ms) over which envelopes are compared."""
CLIP = 1 + 10 ** (15 / 20)
"""Lower bound of -15 dB on the signal-to-distortion ratio."""
LOSS_FLOOR = 1e-10
"""Band power below the quantisation noise of 16-bit audio. It bounds the gradient where the audio is silent."""


@lru_cache(maxsize=1)
def _resampling_filter() -> np.ndarray:
    """Octave's ``resample`` low-pass for 5 / 8: a Kaiser-windowed sinc of 581 taps at 80 kHz with gain 5."""
    cutoff = 1 / (2 * max(UP, DOWN))
    rejection_db = 60.0
    half = int(np.ceil((rejection_db - 8) / (28.714 * cutoff / 10)))
    taps = np.sinc(2 * cutoff * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, 0.1102 * (rejection_db - 8.7))
    return UP * taps / taps.sum()


@lru_cache(maxsize=8)
def _polyphase(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Kernels (taps, OUTPUTS), one for each output of a block, and how many samples they reach back before the block.

    Output q of a block sums input j, counted from the block's first, times tap 8q - 5j, counted from the centre.
    """
    taps = _resampling_filter()
    half = len(taps) // 2
    back, ahead = half // UP, (half + DOWN * (OUTPUTS - 1)) // UP
    position = half + DOWN * np.arange(OUTPUTS) - UP * np.arange(-back, ahead + 1)[:, None]
    inside = (position >= 0) & (position < len(taps))
    kernels = np.where(inside, taps[position.clip(0, len(taps) - 1)], 0)
    return torch.from_numpy(kernels).to(device, dtype), back


@lru_cache(maxsize=8)
def _window_and_bands(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Hann window (256,) without its zeros, and the third-octave sums (257, 15) with edges at the nearest FFT bin."""
    hz = np.arange(FFT // 2 + 1) * RATE / FFT
    octave = np.arange(BANDS) / 3

    def nearest_bin(edges: np.ndarray) -> np.ndarray:
        return np.abs(hz - edges[:, None]).argmin(1)

    low = nearest_bin(LOWEST_CENTRE * 2 ** (octave - 1 / 6))
    high = nearest_bin(LOWEST_CENTRE * 2 ** (octave + 1 / 6))
    bins = np.arange(len(hz))[:, None]
    bands = ((bins >= low) & (bins < high)).astype(float)
    window = np.hanning(FRAME + 2)[1:-1]
    return torch.from_numpy(window).to(device, dtype), torch.from_numpy(bands).to(device, dtype)


def to_10_khz(audio: Tensor) -> Tensor:
    """Audio (B, N) at 16 kHz to (B, ceil(5 N / 8)) at 10 kHz."""
    kernels, back = _polyphase(audio.device, audio.dtype)
    length, stride = audio.shape[-1], OUTPUTS * DOWN // UP
    blocks = -(-length // stride)
    reach = stride * (blocks - 1) + len(kernels)
    padded = torch.nn.functional.pad(audio, (back, reach - back - length))
    return (padded.unfold(1, len(kernels), stride) @ kernels).flatten(1)[:, : -(-length * UP // DOWN)]


def windowed_frames(audio: Tensor) -> Tensor:
    """Hann-windowed frames of audio (B, N) at 10 kHz: (B, T, 256). A frame that ends on the last sample is left out."""
    window, _ = _window_and_bands(audio.device, audio.dtype)
    return audio[:, :-1].unfold(1, FRAME, HOP) * window


def overlap_add(frames: Tensor) -> Tensor:
    """Frames (B, T, 256) to audio (B, 128 T + 128) at 10 kHz; their windows sum to almost one."""
    pad = torch.nn.functional.pad
    return (pad(frames[..., :HOP], (0, 0, 0, 1)) + pad(frames[..., HOP:], (0, 0, 1, 0))).flatten(1)


def band_envelopes(audio: Tensor, floor: float) -> Tensor:
    """Third-octave magnitudes of audio (B, N) at 10 kHz: (B, T, 15). Powers below ``floor`` give exactly 0."""
    _, bands = _window_and_bands(audio.device, audio.dtype)
    spectrum = torch.fft.rfft(windowed_frames(audio), FFT)
    power = (spectrum.real.square() + spectrum.imag.square()) @ bands
    # The square root has no gradient at zero.
    return power.clamp_min(floor).sqrt() - floor**0.5


def _segments(envelopes: Tensor) -> Tensor:
    """Envelopes (B, T, 15) to (B, 15, T - 29, 30): every segment, its frames last."""
    return envelopes.transpose(1, 2).contiguous().unfold(2, SEGMENT, 1)


def _norm(x: Tensor, floor: float) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(floor**0.5)


def _correlation(x: Tensor, y: Tensor, axis: int, floor: float) -> Tensor:
    """Pearson's correlation along an axis, which goes; 0 where either is constant."""
    x, y = x - x.mean(axis, keepdim=True), y - y.mean(axis, keepdim=True)
    norms = ((x * x).sum(axis).clamp_min(floor) * (y * y).sum(axis).clamp_min(floor)).sqrt()
    return (x * y).sum(axis) / norms


def envelope_correlation(reference: Tensor, generated: Tensor, floor: float) -> Tensor:
    """STOI (B,) of envelopes (B, T, 15), T >= 30: eq. 3-6 of Taal et al."""
    x, y = _segments(reference), _segments(generated)
    y = torch.minimum(y * (_norm(x, floor) / _norm(y, floor)), x * CLIP)
    return _correlation(x, y, -1, floor).mean((1, 2))


def extended_envelope_correlation(reference: Tensor, generated: Tensor, floor: float) -> Tensor:
    """ESTOI (B,) of envelopes (B, T, 15), T >= 30: eq. 4-8 of Jensen and Taal.

    A segment of digital silence counts as uncorrelated; pystoi correlates with noise there.
    """

    def rows_normalised(envelopes: Tensor) -> Tensor:
        x = _segments(envelopes)
        x = x - x.mean(-1, keepdim=True)
        return x / _norm(x, floor)

    return _correlation(rows_normalised(reference), rows_normalised(generated), 1, floor).mean((1, 2))


def short_time_intelligibility(reference: Tensor, generated: Tensor, extended: bool = False) -> Tensor:
    """STOI, or ESTOI when ``extended``, without removal of silent frames: (B,), differentiable, float32.

    reference, generated: (B, N) at 16 kHz in [-1, 1], N >= 6554 (0.41 s: thirty frames). Raises ValueError if shorter
    or of unequal shapes. Gradients are finite for any finite input, also where either is silent.
    """
    if reference.shape != generated.shape:
        raise ValueError(f"STOI needs equal shapes, got {tuple(reference.shape)} and {tuple(generated.shape)}")
    # Half precision would cost the third decimal.
    with torch.autocast(reference.device.type, enabled=False):
        both = to_10_khz(torch.cat([reference.float(), generated.float()]))
        if both.shape[1] <= FRAME + SEGMENT * HOP:
            raise ValueError(f"STOI needs at least 0.41 s of audio, got {reference.shape[1] / 16000:.3f} s")
        # Joining the frames again looks idle, but the published code analyses what its removal of silence returns.
        x, y = band_envelopes(overlap_add(windowed_frames(both)), LOSS_FLOOR).chunk(2)
        correlate = extended_envelope_correlation if extended else envelope_correlation
        return correlate(x, y, LOSS_FLOOR)
