"""Everyone in an uncropped video: the stretches in which one face is followed, as SyncNet's pipeline finds them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import cv2
import numpy as np

from slts.data.faces import FaceCrop, square
from slts.data.faces.boxes import overlap
from slts.data.faces.tracks import moving_boxes


@dataclass(frozen=True)
class Thresholds:
    """What counts as a face that is followed: the keys of conf/tracks."""

    detect_rate: float = 25.0
    detect_scale: float = 1.0
    scene_cut: float = 27.0
    same_face: float = 0.5
    largest_gap: float = 1.0
    shortest: float = 1.0
    smallest_face: float = 50.0

    @classmethod
    def of(cls, keys: Mapping) -> "Thresholds":
        return cls(**{field.name: keys[field.name] for field in fields(cls)})


@dataclass
class Track:
    """One face from frame ``first`` to before frame ``last``."""

    first: int
    last: int
    geometry: dict
    """As ``slts.data.faces.locate`` gives it, with a square for each of these frames; ``cut`` makes the crops."""


def face_tracks(frames: np.ndarray, fps: float, how: FaceCrop, limits: Thresholds) -> list[Track]:
    """The faces followed through frames (T, H, W, 3) uint8 RGB, longest first; none where none lasts long enough.

    A face goes on where a box overlaps its last one by ``same_face``, within ``largest_gap`` seconds and before the
    picture changes. Squares follow a median over half a second, 13 frames at 25 a second.
    """
    height, width = frames.shape[1:3]
    # The last frame too, so that a face that is there to the end is followed to the end.
    places = np.union1d(np.arange(0, len(frames), max(1, round(fps / limits.detect_rate))), [len(frames) - 1])
    scene = np.searchsorted(scene_starts(frames, limits.scene_cut), places, side="right")
    followed: list[list[tuple[int, np.ndarray]]] = []
    for look, boxes in enumerate(_boxes(frames[places], how, limits)):
        open_tracks = [
            track
            for track in followed
            if scene[track[-1][0]] == scene[look]
            and (places[look] - places[track[-1][0]] - 1) / fps <= limits.largest_gap
        ]
        same = overlap(np.array([track[-1][1] for track in open_tracks]).reshape(-1, 4), boxes)
        new = set(range(len(boxes)))
        while same.size and same.max() > limits.same_face:
            who, box = np.unravel_index(same.argmax(), same.shape)
            open_tracks[who].append((look, boxes[box]))
            new.discard(int(box))
            same[who], same[:, box] = 0, 0
        followed += [[(look, boxes[box])] for box in sorted(new)]
    tracks = []
    for track in followed:
        seen, boxes = places[[look for look, _ in track]], np.array([box for _, box in track], float)
        first, last = int(seen[0]), int(seen[-1]) + 1
        sides = (boxes[:, 2:] - boxes[:, :2]).max(1)
        if (last - first) / fps < limits.shortest - 1e-6 or sides.mean() < limits.smallest_face:
            continue
        moving = moving_boxes(boxes, seen - first, last - first, fps)
        geometry = {
            "detector": how.faces,
            "region": how.region,
            "box": np.median(boxes, axis=0).round(1).tolist(),
            "squares": [square(box, how, height, width) for box in moving],
        }
        tracks.append(Track(first, last, geometry))
    return sorted(tracks, key=lambda track: track.first - track.last)


def scene_starts(frames: np.ndarray, threshold: float) -> np.ndarray:
    """Frames that differ from the one before by more than ``threshold`` in the mean over hue, saturation and value."""
    starts, before = [], None
    for index, frame in enumerate(frames):
        small = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
        now = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.int16)
        if before is not None and np.abs(now - before).mean() > threshold:
            starts.append(index)
        before = now
    return np.array(starts, int)


def _boxes(pictures: np.ndarray, how: FaceCrop, limits: Thresholds) -> list[np.ndarray]:
    """Boxes (k, 4) of all faces in each picture, in its pixels."""
    scale = limits.detect_scale
    if how.faces == "none":
        scale = 1.0
    elif scale != 1:
        pictures = np.stack([cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in pictures])
    found = how.detector()(pictures, max(20, int(limits.smallest_face * scale)))
    return [boxes.reshape(-1, 4) / scale for boxes in found]
