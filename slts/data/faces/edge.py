"""The soft edge of a lower face that is drawn into a picture."""

from functools import lru_cache

import numpy as np

FEATHER = 0.1
"""Width of the edge as a share of the face's side."""


def rise(x: np.ndarray) -> np.ndarray:
    """From 0 at 0 to 1 at 1, smooth at both."""
    x = x.clip(0, 1)
    return x * x * (3 - 2 * x)


def upper_edge(side: int) -> np.ndarray:
    """How much of each row of a face of ``side`` pixels belongs to its lower half: (side,) in 0..1."""
    place = (np.arange(side) + 0.5) / side
    return rise((place - 0.5 + FEATHER / 2) / FEATHER)


@lru_cache(8)  # a face keeps its size for some frames
def soft_edge(side: int) -> np.ndarray:
    """How much of a drawn face of ``side`` pixels is taken: (side, side, 1) in 0..1, the lower half without its rim."""
    place = (np.arange(side) + 0.5) / side
    inwards = rise(np.minimum(place, 1 - place) / FEATHER)
    down = np.minimum(upper_edge(side), rise((1 - place) / FEATHER))
    return (down[:, None] * inwards[None])[..., None].astype(np.float32)
