"""One loudness for all that is heard: equal active speech level, and no peak that is cut."""

import numpy as np

from slts.audio import SAMPLE_RATE

TARGET = -26.0
"""Decibels of the active level below full scale, as telephony's listening tests have it (ITU-T P.56, P.800)."""
PEAK = 0.98
FRAME = SAMPLE_RATE // 50
QUIET = 30.0
"""Decibels below the loudest frame of 20 ms from which on a frame is a pause."""
FADE = SAMPLE_RATE // 200
"""Samples of the fade at either end, 5 ms."""


def active_level(audio: np.ndarray) -> float:
    """RMS in decibels below full scale of the frames that are no pauses; -inf of silence.

    Args:
        audio: (N,) in [-1, 1] at 16 kHz.
    """
    frames = np.pad(audio, (0, -len(audio) % FRAME)).reshape(-1, FRAME).astype(float)
    energy = (frames**2).mean(1)
    if not energy.size or not energy.max():
        return -np.inf
    return float(10 * np.log10(energy[energy >= energy.max() / 10 ** (QUIET / 10)].mean()))


def common_level(sounds: list[np.ndarray]) -> float:
    """The active level that all can be given: TARGET, or less where a peak would be cut."""
    room = [
        active_level(audio) + 20 * np.log10(PEAK / np.abs(audio).max())
        for audio in sounds
        if active_level(audio) > -np.inf
    ]
    return min([TARGET, *room])


def levelled(audio: np.ndarray, level: float) -> np.ndarray:
    """The sound at an active level in decibels, faded in and out; silence stays silence."""
    found = active_level(audio)
    gain = 10 ** ((level - found) / 20) if found > -np.inf else 1.0
    fade = np.minimum(1, (np.arange(len(audio)) + 1) / FADE)
    return (audio * gain * fade * fade[::-1]).astype(np.float32)
