"""The time-alignment frontend of SLTS section 4.3.

Log-mels of reference and generated audio, each frame standardised over its 80 bands; 61 shifts of the generated audio
from -300 to 300 ms; the shift with the least mean squared error over the overlap wins, and the recovered offset is
minus that shift. An offset is therefore the lag of the generated audio: positive when it is late.

Scoring uses the overlap alone. Filling the gap that a shift opens with zeros would compare speech with silence there,
which misleads the search and lowers every metric by an amount that depends on the shift.
"""

from typing import TypeVar

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from slts.audio import SAMPLE_RATE
from slts.audio.mel import BANDS, MEL_RATE, log_mel
from slts.metrics.excerpt import Excerpt, LocalAnalysis, Undefined, checked_pair

Audio = TypeVar("Audio", np.ndarray, Excerpt)
FRAME_MS = 1000 // MEL_RATE
LARGEST_SHIFT = 30
"""Frames of 10 ms either way."""
SHORTEST = 2 * LARGEST_SHIFT
"""Mel frames (0.6 s) that both signals need, so that every shift is judged on at least 0.3 s."""


@torch.inference_mode()
def _log_mel(audio: np.ndarray) -> np.ndarray:
    return log_mel(torch.from_numpy(np.asarray(audio, np.float32))[None])[0].numpy()


LOG_MEL = LocalAnalysis(_log_mel, per_step=1, edge=2)


def _standardised(mel: Tensor) -> Tensor:
    """Log-mel (B, T, 80) to (B, 80, T), each frame with mean 0 and variance 1; a silent frame is all zeros."""
    mel = mel.transpose(1, 2).contiguous()
    mel = mel - mel.mean(1, keepdim=True)
    return mel / mel.square().mean(1, keepdim=True).sqrt().clamp_min(1e-4)


def lag_errors(reference: Tensor, generated: Tensor) -> Tensor:
    """Mean squared error (B, 61) over the overlap for lags of the generated audio of -300, -290, ... 300 ms.

    reference (B, T, 80), generated (B, T', 80): log-mels, lengths may differ. Frame i of the reference meets frame
    i + lag of the generated audio. Raises Undefined if either has less than 60 frames (0.6 s).
    """
    a, b = _standardised(reference), _standardised(generated)
    frames_a, frames_b = a.shape[2], b.shape[2]
    if min(frames_a, frames_b) < SHORTEST:
        raise Undefined(f"under {SHORTEST * FRAME_MS} ms of audio for alignment")
    lags = torch.arange(-LARGEST_SHIFT, LARGEST_SHIFT + 1, device=a.device)

    # |a - b|^2 = |a|^2 + |b|^2 - 2 <a, b>: the products of all lags come from one cross-correlation, the squares from
    # running sums.
    size = next_fast_len(max(frames_a, frames_b) + LARGEST_SHIFT, real=True)
    cross_spectrum = (torch.fft.rfft(a, size).conj() * torch.fft.rfft(b, size)).sum(1)
    products = torch.fft.irfft(cross_spectrum, size)[:, lags % size]

    def running(x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x.square().sum(1).cumsum(1), (1, 0))

    first = (-lags).clamp_min(0)
    last = torch.minimum(torch.full_like(lags, frames_a), frames_b - lags)
    energy_a, energy_b = running(a), running(b)
    squares = energy_a[:, last] - energy_a[:, first] + energy_b[:, last + lags] - energy_b[:, first + lags]
    return (squares - 2 * products) / ((last - first) * BANDS)


def frontend_offset_ms(errors: Tensor) -> Tensor:
    """The paper's offset (B,) from lag_errors (B, 61): a multiple of 10 ms."""
    return (errors.argmin(1) - LARGEST_SHIFT).float() * FRAME_MS


def refined_offset_ms(errors: Tensor) -> Tensor:
    """Offset (B,) at the vertex of the parabola through the least error and its neighbours; ours, not the paper's.

    Within half a frame of frontend_offset_ms; equal to it at +-300 ms, where a neighbour is missing.
    """
    best = errors.argmin(1, keepdim=True)
    inner = best.clamp(1, errors.shape[1] - 2)
    before, here, after = (errors.gather(1, inner + step) for step in (-1, 0, 1))
    curvature = (before - 2 * here + after).clamp_min(torch.finfo(errors.dtype).tiny)
    vertex = (0.5 * (before - after) / curvature).clamp(-0.5, 0.5)
    return ((best - LARGEST_SHIFT + torch.where(best == inner, vertex, 0)) * FRAME_MS).squeeze(1)


@torch.inference_mode()
def offsets_ms(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt) -> tuple[float, float]:
    """(frontend, refined) offset of one pair (N,), (N',) at 16 kHz, in milliseconds; see the two below.

    Raises Undefined if either is under 0.6 s, silent, not finite, or beyond what float32 mels hold (about 1e18).
    """
    pair = checked_pair(reference, generated, equal_lengths=False)
    errors = lag_errors(*(torch.from_numpy(side.analysis(LOG_MEL))[None] for side in pair))
    if not errors.isfinite().all():
        raise Undefined("audio is far too loud for alignment")
    return frontend_offset_ms(errors).item(), refined_offset_ms(errors).item()


def is_at_edge(frontend_ms: float) -> bool:
    """Whether the paper's offset lies at +-300 ms, so that the true one may lie beyond the search."""
    return abs(frontend_ms) >= LARGEST_SHIFT * FRAME_MS


def frontend_offset(reference: np.ndarray, generated: np.ndarray) -> float:
    """The paper's o_f of one pair: milliseconds, a multiple of 10 in -300 ... 300; see offsets_ms."""
    return offsets_ms(reference, generated)[0]


def refined_offset(reference: np.ndarray, generated: np.ndarray) -> float:
    """o_f of one pair in milliseconds, between the multiples of 10; see offsets_ms and refined_offset_ms."""
    return offsets_ms(reference, generated)[1]


def overlap(reference: Audio, generated: Audio, offset_ms: float = 0.0) -> tuple[Audio, Audio]:
    """The stretch that both have once the generated audio's lag is taken out: two views of equal length, maybe empty.

    Offset 0 cuts both to the shorter. The lag is rounded to a sample of 62.5 us.
    """
    lag = round(offset_ms * SAMPLE_RATE / 1000)
    reference, generated = reference[max(-lag, 0) :], generated[max(lag, 0) :]
    length = min(len(reference), len(generated))
    return reference[:length], generated[:length]
