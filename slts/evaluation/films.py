"""Drawn pictures to look at: a strip of instants, and a video with the sound."""

from pathlib import Path

import cv2
import numpy as np

from slts.data.media import encode_h264, mux
from slts.files import write_whole

SHOWN = 8
"""Instants of a strip."""
SIDE = 192
"""Pixels of a picture in a video."""


def write_strip(file: Path, rows: list[np.ndarray]) -> None:
    """A PNG of rows of pictures, each (T, C, H, W) uint8 at the same SHOWN instants, one below another."""
    places = np.linspace(0, len(rows[0]) - 1, SHOWN).round().astype(int)
    lines = [np.concatenate(list(_rgb(row[places])), axis=1) for row in rows]
    encoded = cv2.imencode(".png", np.concatenate(lines)[..., ::-1])[1]
    write_whole(file, encoded.tobytes())


def write_film(file: Path, columns: list[np.ndarray], fps: float, audio: np.ndarray) -> None:
    """An mp4 of videos side by side, each (T, C, H, W) uint8, with the sound (N,) in [-1, 1] at 16 kHz."""
    frames = [
        np.concatenate([cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for picture in pictures], 1)
        for pictures in zip(*map(_rgb, columns), strict=True)
    ]
    mux(encode_h264(np.stack(frames), fps), audio, file)


def _rgb(pictures: np.ndarray) -> np.ndarray:
    """(T, C, H, W), RGB or grey, to (T, H, W, 3)."""
    return np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:])).transpose(0, 2, 3, 1)
