"""One person through a clip: boxes of single pictures linked, chosen among, filled in and smoothed."""

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from slts.data.clip import Reject
from slts.data.faces.boxes import overlap

PERSONS = ("largest", "central")
SAME = 0.3
"""Overlap with the last box of a person from which on a box belongs to them."""
SMOOTHING = 0.5
"""Seconds over which a moving square is smoothed, about SyncNet's 13 frames of 25 a second."""


def one_person(found: list[np.ndarray], person: str, height: int, width: int) -> np.ndarray:
    """The boxes of one person (n, 4), NaN where they were not found.

    Boxes are linked from picture to picture by overlap. Whoever is seen in less than half as many pictures as the one
    seen most is left out; of the others the largest on average, or the nearest to the middle of the picture, is taken.

    Args:
        found: the boxes (k, 4) of each picture.
        person: a name in PERSONS.
        height, width: of the pictures.
    """
    people: list[np.ndarray] = []
    for index, boxes in enumerate(found):
        last = np.array([track[~np.isnan(track[:, 0])][-1] for track in people]).reshape(-1, 4)
        same = overlap(last, boxes)
        new = set(range(len(boxes)))
        while same.size and same.max() >= SAME:
            who, box = np.unravel_index(same.argmax(), same.shape)
            people[who][index] = boxes[box]
            new.discard(int(box))
            same[who], same[:, box] = 0, 0
        for box in sorted(new):
            people.append(np.full((len(found), 4), np.nan, np.float32))
            people[-1][index] = boxes[box]
    if not people:
        return np.full((len(found), 4), np.nan, np.float32)
    seen = [int((~np.isnan(track[:, 0])).sum()) for track in people]
    often = [track for track, times in zip(people, seen, strict=True) if 2 * times >= max(seen)]
    means = [np.nanmean(track, axis=0) for track in often]
    if person == "largest":
        order = [-(right - left) * (bottom - top) for left, top, right, bottom in means]
    else:
        order = [np.hypot(left + right - width, top + bottom - height) for left, top, right, bottom in means]
    return often[int(np.argmin(order))]


def refuse_gaps(boxes: np.ndarray, step: float, largest: float) -> None:
    """Raises Reject("no_face"), or Reject("face_gap") where boxes (n, 4) are NaN for more than ``largest`` seconds.

    ``step`` is the time from picture to picture in seconds.
    """
    missed = np.isnan(boxes[:, 0])
    if missed.all():
        raise Reject("no_face", f"no face found in the {len(boxes)} pictures looked at")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missed, [False]])))
    run = max((edges[1::2] - edges[::2]).tolist(), default=0)
    if run * step > largest:
        raise Reject("face_gap", f"the face is lost for {run * step:.2f} s, more than largest_gap={largest}")


def moving_boxes(boxes: np.ndarray, places: np.ndarray, count: int, fps: float) -> np.ndarray:
    """A smoothed box for each of ``count`` frames (count, 4), from boxes (n, 4), some NaN, of the frames ``places``.

    Between the boxes found they are interpolated, before the first and after the last they stay. A median over
    SMOOTHING removes outliers, a mean over as long the jitter.
    """
    found = ~np.isnan(boxes[:, 0])
    filled = np.stack([np.interp(np.arange(count), places[found], boxes[found, side]) for side in range(4)], axis=1)
    taps = 2 * round(SMOOTHING * fps / 2) + 1
    return uniform_filter1d(median_filter(filled, (taps, 1), mode="nearest"), taps, axis=0, mode="nearest")
