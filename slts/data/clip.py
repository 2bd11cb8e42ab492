"""A decoded piece of talking-face video with its audio, on one clock."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Clip:
    """Picture and sound that start at the same instant.

    Frame i is shown at i / fps seconds, sample n is heard at n / 16000 seconds. A positive offset means that the video
    lags the audio: what is heard at t is seen at t + offset.
    """

    frames: np.ndarray
    """(T_v, H, W, 3) uint8 RGB."""
    fps: float
    audio: np.ndarray
    """(N,) float32 in [-1, 1] at 16 kHz; N / 16000 is within one video frame of T_v / fps."""
    offset_ms: float | None = None
    """Known audio-visual offset, None where the truth is not known."""
    words: list[tuple[float, float, str]] = field(default_factory=list)
    """(start, end, word) in seconds on the audio's clock."""
    extra: dict = field(default_factory=dict)
    """Further JSON-able facts for the sample: crop geometry, source start time, phones."""


class Reject(Exception):
    """A clip that cannot be used. ``reason`` is a short stable word for the ledger, ``detail`` a sentence."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail
