"""Where the face is in a clip, and the square cut from it.

A detector is one function of frames (T, H, W, 3) uint8 RGB to boxes (T, 4) float32 and one line in DETECTORS.
"""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from slts.data.clip import Reject

SAMPLED = 7
"""Frames of a clip that the cascade looks at; one median box serves the whole clip."""
LINES = 480
"""The cascade looks at pictures scaled down to at most this many lines."""
SMALLEST = 0.2
"""Side of the smallest face looked for, as a share of the shorter side of the picture."""

FACE_SCALE = 1.2
"""Side of the ``face`` square in box sides: the cascade's box ends above the chin."""
MOUTH_SCALE, MOUTH_HEIGHT = 0.56, 0.79
"""Side of the ``mouth`` square in box widths, and its centre down the box in box heights."""


def _none(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    return np.tile(np.float32([0, 0, width, height]), (len(frames), 1))


@cache
def _cascade_model() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")


def _cascade(frames: np.ndarray) -> np.ndarray:
    """OpenCV's bundled frontal-face cascade on a few frames of the clip."""
    boxes = np.full((len(frames), 4), np.nan, np.float32)
    height, width = frames.shape[1:3]
    scale = min(1.0, LINES / min(height, width))
    smallest = max(20, int(SMALLEST * scale * min(height, width)))
    for index in np.unique(np.linspace(0, len(frames) - 1, SAMPLED).round().astype(int)):
        grey = cv2.cvtColor(frames[index], cv2.COLOR_RGB2GRAY)
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = _cascade_model().detectMultiScale(
            cv2.equalizeHist(grey), scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest)
        )
        if len(found):
            left, top, wide, high = np.asarray(found, np.float32).T / scale
            distance = np.hypot(left + wide / 2 - width / 2, top + high / 2 - height / 2)
            best = np.argmax(wide - distance)
            boxes[index] = left[best], top[best], left[best] + wide[best], top[best] + high[best]
    return boxes


DETECTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"none": _none, "cascade": _cascade}
"""``none`` takes the whole picture for the face; ``cascade`` is OpenCV's Haar cascade."""
REGIONS = ("face", "mouth")


def detect(frames: np.ndarray, detector: str) -> np.ndarray:
    """One face box a frame: frames (T, H, W, 3) uint8 RGB to (T, 4) float32 left, top, right, bottom in pixels.

    Of several faces the largest and most central one is taken. Rows are NaN where no face was found or looked for.
    """
    return DETECTORS[detector](frames)


def crop(frames: np.ndarray, detector: str, region: str, size: int) -> tuple[np.ndarray, dict]:
    """The same square of every frame around the clip's median face box.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        detector: a name in DETECTORS; with ``none`` the square is the centre of the picture, whatever the region.
        region: ``face`` or ``mouth``.
        size: side of the result in pixels.

    Returns:
        Crops (T, size, size, 3) uint8, and {detector, region, box, square} with box as left, top, right, bottom and
        square as left, top, side in pixels of the decoded picture.

    Raises:
        Reject: no_face.
    """
    boxes = detect(frames, detector)
    found = ~np.isnan(boxes).any(axis=1)
    if not found.any():
        raise Reject("no_face", f"{detector} found no face in the {len(boxes)}-frame clip")
    left, top, right, bottom = box = np.median(boxes[found], axis=0).astype(float)
    wide, high = right - left, bottom - top
    if detector == "none":
        side, middle = min(wide, high), (top + bottom) / 2
    elif region == "mouth":
        side, middle = MOUTH_SCALE * wide, top + MOUTH_HEIGHT * high
    else:
        side, middle = FACE_SCALE * max(wide, high), (top + bottom) / 2

    height, width = frames.shape[1:3]
    side = max(1, min(round(side), height, width))
    x = int(np.clip(round((left + right - side) / 2), 0, width - side))
    y = int(np.clip(round(middle - side / 2), 0, height - side))
    way = cv2.INTER_AREA if side >= size else cv2.INTER_LINEAR
    squares = frames[:, y : y + side, x : x + side]
    if side != size:
        squares = np.stack([cv2.resize(square, (size, size), interpolation=way) for square in squares])
    geometry = {"detector": detector, "region": region, "box": [round(v, 1) for v in box], "square": [x, y, side]}
    return squares, geometry
