"""Where the face is in a clip, and the square cut from it.

A detector is one module here with a function ``load(weights)`` that gives a function of pictures (n, H, W, 3) uint8 RGB
and the smallest side in pixels to the boxes (k, 4) float32 left, top, right, bottom of each, and one line in DETECTORS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache

import cv2
import numpy as np

from slts.data.faces import cascade, mtcnn, s3fd
from slts.data.faces.tracks import PERSONS, moving_boxes, one_person, refuse_gaps

LOOKS = 7
"""Pictures of a clip that a detector looks at in any case."""
LINES = 480
"""Detectors look at pictures scaled down to at most this many lines."""

Detect = Callable[[np.ndarray, int], list[np.ndarray]]


@dataclass(frozen=True)
class Detector:
    """How a detector is loaded, and where face and mouth are in its boxes."""

    load: Callable[[str | None], Detect]
    face: tuple[float, float]
    """Side of the ``face`` square in longer box sides, and its centre down the box in box heights."""
    mouth: tuple[float, float]
    """Side of the ``mouth`` square in box widths, and its centre down the box in box heights."""


def _load_none(weights: str | None) -> Detect:
    def detect(pictures: np.ndarray, smallest: int) -> list[np.ndarray]:
        height, width = pictures.shape[1:3]
        return [np.float32([[0, 0, width, height]])] * len(pictures)

    return detect


DETECTORS = {
    "none": Detector(_load_none, (1.0, 0.5), (1.0, 0.5)),
    "cascade": Detector(cascade.load, (1.2, 0.5), (0.56, 0.79)),  # its box ends above the chin
    "mtcnn": Detector(mtcnn.load, (1.1, 0.48), (0.72, 0.75)),  # on GRID, the squares of the cascade in the median
    "s3fd": Detector(s3fd.load, (1.1, 0.48), (0.72, 0.75)),  # not measured; its boxes too reach from forehead to chin
}
"""``none`` takes the whole picture for the face."""
REGIONS = ("face", "mouth", "syncnet")
SYNCNET = (1.4 / 1.1, 0.22)
"""``syncnet`` is the crop of SyncNet's pipeline, 1.4 sides of an S3FD box around a point 0.2 sides below its centre: so
much larger and lower than the ``face`` square. Where it leaves the picture, it is moved inside."""


@dataclass(frozen=True)
class FaceCrop:
    """How a face is found and cut: the keys of conf/prepare.yaml of these names. ``faces`` is the detector."""

    faces: str = "cascade"
    region: str = "face"
    size: int = 112
    track: bool = False
    person: str = "largest"
    detect_rate: float = 2.0
    smallest_face: float = 0.2
    largest_gap: float = 1.0
    s3fd_weights: str | None = None

    @classmethod
    def of(cls, keys: Mapping) -> "FaceCrop":
        """From a config, or from the one recorded in corpus.json, perhaps of a time before some of the keys."""
        return cls(**{field.name: keys[field.name] for field in fields(cls) if field.name in keys})

    def detector(self) -> Detect:
        """The detector, loaded once a process. Raises UserError when its package or weights are missing."""
        return _load(self.faces, self.s3fd_weights)


@cache
def _load(name: str, weights: str | None) -> Detect:
    return DETECTORS[name].load(weights)


def crop(frames: np.ndarray, fps: float, how: FaceCrop) -> tuple[np.ndarray, dict]:
    """A square around one person's face or mouth, of every frame: the same one, or with ``track`` one that follows.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        fps: frames a second.
        how: with the detector ``none`` the square is the centre of the picture, whatever the region.

    Returns:
        Crops (T, size, size, 3) uint8, and their geometry as ``locate`` gives it.

    Raises:
        Reject: no_face or face_gap.
    """
    geometry = locate(frames, fps, how)
    return cut(frames, geometry, how.size), geometry


def locate(frames: np.ndarray, fps: float, how: FaceCrop) -> dict:
    """The squares of a clip: {detector, region, box, square or squares}, from which ``cut`` makes the crops again.

    ``box`` is the median face box as left, top, right, bottom; ``square`` is left, top, side, the same in all frames,
    ``squares`` (T, 3) one a frame; all in pixels of the decoded picture. Raises Reject as ``crop`` does.
    """
    places, boxes = detect(frames, fps, how)
    refuse_gaps(boxes, len(frames) / fps / len(places), how.largest_gap)
    box = np.nanmedian(boxes, axis=0).astype(float)
    geometry = {"detector": how.faces, "region": how.region, "box": [round(float(v), 1) for v in box]}
    height, width = frames.shape[1:3]
    if how.track:
        moving = moving_boxes(boxes, places, len(frames), fps)
        return geometry | {"squares": [square(one, how, height, width) for one in moving]}
    return geometry | {"square": square(box, how, height, width)}


def detect(frames: np.ndarray, fps: float, how: FaceCrop) -> tuple[np.ndarray, np.ndarray]:
    """The pictures looked at (n,), and one person's box in each (n, 4) in pixels, NaN where it was not found."""
    looks = min(len(frames), max(LOOKS, int(np.ceil(how.detect_rate * len(frames) / fps))))
    places = np.linspace(0, len(frames) - 1, looks).round().astype(int)
    height, width = frames.shape[1:3]
    scale = min(1.0, LINES / min(height, width))
    pictures = frames[places]
    if scale < 1:
        pictures = np.stack([cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in pictures])
    smallest = max(20, int(how.smallest_face * scale * min(height, width)))
    found = [boxes / scale for boxes in how.detector()(pictures, smallest)]
    return places, one_person(found, how.person, height, width)


def square(box: np.ndarray, how: FaceCrop, height: int, width: int) -> list[int]:
    """Left, top and side of the square that belongs to a face box, inside the picture."""
    left, top, right, bottom = map(float, box)
    wide, high = right - left, bottom - top
    if how.faces == "none":
        side, middle = min(wide, high), (top + bottom) / 2
    elif how.region == "syncnet":
        scale, down = DETECTORS[how.faces].face
        side, middle = SYNCNET[0] * scale * max(wide, high), top + (down + SYNCNET[1]) * high
    elif how.region == "mouth":
        scale, down = DETECTORS[how.faces].mouth
        side, middle = scale * wide, top + down * high
    else:
        scale, down = DETECTORS[how.faces].face
        side, middle = scale * max(wide, high), top + down * high
    side = max(1, min(round(side), height, width))
    x = int(np.clip(round((left + right - side) / 2), 0, width - side))
    y = int(np.clip(round(middle - side / 2), 0, height - side))
    return [x, y, side]


def cut(frames: np.ndarray, geometry: dict, size: int) -> np.ndarray:
    """Crops (T, size, size, 3) uint8 of frames (T, H, W, 3) by the geometry recorded with a clip."""
    squares = geometry.get("squares") or [geometry["square"]] * len(frames)
    cuts = [frame[y : y + side, x : x + side] for frame, (x, y, side) in zip(frames, squares, strict=True)]
    return np.stack([_resized(picture, size) for picture in cuts])


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    if len(picture) == size:
        return picture
    way = cv2.INTER_AREA if len(picture) >= size else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=way)


__all__ = ["DETECTORS", "PERSONS", "REGIONS", "FaceCrop", "crop", "cut", "detect", "locate"]
