"""STOI and ESTOI with removal of silent frames, equal to pystoi to 1e-9."""

import warnings

import numpy as np
import torch

from slts.audio.stoi import (
    FRAME,
    HOP,
    RATE,
    SEGMENT,
    band_envelopes,
    envelope_correlation,
    extended_envelope_correlation,
    overlap_add,
    to_10_khz,
    windowed_frames,
)
from slts.metrics.excerpt import Excerpt, LocalAnalysis, Undefined, checked_pair

DYNAMIC_RANGE_DB = 40
"""Frames this far below the loudest frame of the reference are silent."""
FLOOR = 1e-100
"""Only keeps divisions by zero away: double precision needs no more."""


@torch.inference_mode()
def _at_10_khz(audio: np.ndarray) -> np.ndarray:
    return to_10_khz(torch.from_numpy(audio.astype(np.float64))[None])[0].numpy()


AT_10_KHZ = LocalAnalysis(_at_10_khz, per_step=RATE // 100, edge=1)


def _without_silence(both: torch.Tensor) -> torch.Tensor:
    """Drop the frames that are silent in the reference, both[0], from both and overlap-add the rest: (2, M)."""
    if both.shape[1] <= FRAME:
        return both[:, :0]
    frames = windowed_frames(both)
    norms = torch.linalg.vector_norm(frames[0], dim=-1)
    return overlap_add(frames[:, norms > norms.max() * 10 ** (-DYNAMIC_RANGE_DB / 20)])


@torch.inference_mode()
def stoi_estoi(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt) -> tuple[float, float]:
    """STOI and ESTOI from one transform, each about 0 to 1. Arrays (N,) at 16 kHz of equal length.

    Raises Undefined if less than 30 frames of 12.8 ms carry speech (where pystoi returns 1e-5), or if either is empty,
    silent or not finite.
    """
    both = np.stack([side.analysis(AT_10_KHZ) for side in checked_pair(reference, generated)])
    both = _without_silence(torch.from_numpy(both))
    speech_frames = max(both.shape[1] // HOP - 2, 0)
    if speech_frames < SEGMENT:
        raise Undefined(f"under {SEGMENT} frames of speech for STOI")
    x, y = band_envelopes(both, FLOOR).split(1)
    return envelope_correlation(x, y, FLOOR).item(), extended_envelope_correlation(x, y, FLOOR).item()


def by_pystoi(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt) -> tuple[float, float]:
    """The same by the published package, which is slower. Raises Undefined as ``stoi_estoi``."""
    import pystoi

    sides = [side.audio for side in checked_pair(reference, generated)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # it returns 1e-5 where there is too little speech
        try:
            return tuple(float(pystoi.stoi(*sides, 16000, extended)) for extended in (False, True))
        except RuntimeWarning:
            raise Undefined(f"under {SEGMENT} frames of speech for STOI") from None


def stoi(reference: np.ndarray, generated: np.ndarray) -> float:
    """Short-time objective intelligibility; see stoi_estoi."""
    return stoi_estoi(reference, generated)[0]


def estoi(reference: np.ndarray, generated: np.ndarray) -> float:
    """Extended STOI; see stoi_estoi."""
    return stoi_estoi(reference, generated)[1]
