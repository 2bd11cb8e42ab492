"""Whether picture and sound show anything by which an offset could be told."""

import cv2
import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject

QUIET = 1e-3
"""Root mean square of a frame of sound that counts as silent, -60 dB of full scale."""
HEARD = 0.05
"""Least share of the frames that is not silent."""
STILL = 0.15
"""Grey levels by which a moving picture differs from the one before, in the mean over the lower half of the crop."""
SEEN = 0.2
"""Least share of the pictures that moved; of video at 12 pictures a second shown at 25, half stand still."""
FEW = 5
"""Pictures fewer than which do not tell a still one; they are too short for an offset."""


def refuse_unobservable(crops: np.ndarray, audio: np.ndarray) -> None:
    """Refuses what no offset can be told of.

    Args:
        crops: (T, H, W, 3) uint8, of a face or a mouth, whose lower half has the lips.
        audio: (N,) in [-1, 1] at 16 kHz.

    Raises:
        Reject: silence, or still: a still or covered mouth, as far as it does not move.
    """
    frame = SAMPLE_RATE // 50
    frames = audio[: len(audio) // frame * frame].reshape(-1, frame)
    loud = np.sqrt(np.square(frames.astype(np.float64)).mean(1)) > QUIET
    if len(loud) and loud.mean() < HEARD:
        raise Reject("silence", "there is no sound, so that no offset can be told")
    lower = crops[:, crops.shape[1] // 2 :]
    grey = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in lower]).astype(np.int16)
    moved = np.abs(np.diff(grey, axis=0)).mean((1, 2)) > STILL
    if len(moved) >= FEW and moved.mean() < SEEN:
        raise Reject("still", "the mouth does not move: a still picture, or covered")
