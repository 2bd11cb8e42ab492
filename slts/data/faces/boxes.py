"""Boxes (n, 4) of left, top, right, bottom: how far they overlap, and which of many say the same."""

import numpy as np


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) and (m, 4): (n, m) in [0, 1]."""
    a, b = a[:, None].astype(np.float64), b[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(sides.clip(0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-9)


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float) -> np.ndarray:
    """Non-maximum suppression: indices of the boxes to keep, best score first.

    A box goes when it overlaps a better one that is kept by more than ``limit``.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlap(boxes[best][None], boxes[left])[0] <= limit]
    return np.array(kept, np.int64)
