"""How well generated speech matches its reference, and how well predicted offsets match true ones.

Every metric takes mono audio at 16 kHz in [-1, 1] as arrays (N,) and returns a float. Where a metric has no value it
raises Undefined with the reason; no metric returns a stand-in number.
"""

import numpy as np

SILENCE = 1 / 32768
"""Audio that never exceeds one step of 16-bit PCM is silent."""


class Undefined(ValueError):
    """The metric has no value for this input; the message is the reason.

    Messages name no sizes, so that equal reasons can be counted.
    """


def check_audio(audio: np.ndarray, name: str) -> None:
    """Raise Undefined if audio is not (N,), empty, not finite or silent; ``name`` says whose audio it is."""
    if audio.ndim != 1:
        raise Undefined(f"{name} audio is not mono")
    if audio.size == 0:
        raise Undefined(f"{name} audio is empty")
    # min and max propagate NaN and need no temporary array.
    low, high = float(audio.min()), float(audio.max())
    if not np.isfinite(low + high):
        raise Undefined(f"{name} audio is not finite")
    if max(-low, high) <= SILENCE:
        raise Undefined(f"{name} audio is silent")


def check_pair(reference: np.ndarray, generated: np.ndarray) -> None:
    """check_audio for both, and equal lengths."""
    check_audio(reference, "reference")
    check_audio(generated, "generated")
    if len(reference) != len(generated):
        raise Undefined("lengths differ")
