"""A drawn head around the mouth of the generated corpus, in which detectors find a face."""

from collections.abc import Iterator

import cv2
import numpy as np

from slts.corpora.synthetic.mouth import Looks

SIZE = 360
"""Pixels of a side."""
CENTRE, RADIUS, MOUTH = (180, 150), 85, 150
"""Of the face, half its width, and the side of the square of the mouth; pixels."""
MOUTH_DOWN = 0.75
"""How far the middle of the mouth's square is below the centre, in RADIUS."""
CUT = (60, 36, 240)
"""Left, top and side of the square that region=face would cut around the face."""


def around_mouths(mouths: np.ndarray, looks: Looks) -> Iterator[np.ndarray]:
    """Pictures (SIZE, SIZE, 3) float32 of a head whose mouth is each of ``mouths`` (T, MOUTH, MOUTH, 3), RGB 0..255."""
    head = draw_head(looks)
    left, top = CENTRE[0] - MOUTH // 2, CENTRE[1] + round(MOUTH_DOWN * RADIUS) - MOUTH // 2
    v, u = np.mgrid[-1 : 1 : MOUTH * 1j, -1 : 1 : MOUTH * 1j]
    inside = np.clip((1 - np.hypot(u, v) / 0.95) / 0.35, 0, 1)[..., None]
    for mouth in mouths:
        picture = head.copy()
        square = picture[top : top + MOUTH, left : left + MOUTH]
        square += inside * (mouth - square)
        yield picture


def cut_faces(mouths: np.ndarray, looks: Looks, size: int, misplaced: tuple[float, float, float]) -> np.ndarray:
    """The faces alone, (T, size, size, 3) float32, ``mouths`` and ``looks`` as in around_mouths.

    ``misplaced`` is how far to the right, how far down, and by how much larger the square is, in its sides.
    """
    left, top, side = CUT
    right, down, larger = misplaced
    side = side * (1 + larger)
    left, top = left + right * CUT[2] - larger * CUT[2] / 2, top + down * CUT[2] - larger * CUT[2] / 2
    scale = size / side
    move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    # An area of pixels into one, as cutting does with faces that were found.
    small = [
        cv2.GaussianBlur(head, (0, 0), 0.4 / scale) if scale < 1 else head for head in around_mouths(mouths, looks)
    ]
    return np.stack([cv2.warpAffine(head, move, (size, size), borderMode=cv2.BORDER_REPLICATE) for head in small])


def draw_head(looks: Looks) -> np.ndarray:
    """A frontal head without a mouth (SIZE, SIZE, 3) float32 RGB, 0..255."""
    skin, picture = np.array(looks.skin), np.empty((SIZE, SIZE, 3), np.uint8)
    picture[:] = np.round(255 * np.array(looks.backdrop))

    def oval(right: float, down: float, wide: float, high: float, light: float, colour=skin) -> None:
        middle = round(CENTRE[0] + right * RADIUS), round(CENTRE[1] + down * RADIUS)
        axes = round(wide * RADIUS), round(high * RADIUS)
        cv2.ellipse(picture, middle, axes, 0, 0, 360, (255 * light * colour).clip(0, 255).tolist(), -1, cv2.LINE_AA)

    grey = np.ones(3)
    oval(0, -0.25, 1.1, 1.35, 0.18, grey)  # hair
    oval(0, 0, 0.95, 1.3, 1.0)
    for side in (-1, 1):
        oval(0.42 * side, -0.3, 0.3, 0.16, 0.6)
        oval(0.42 * side, -0.25, 0.2, 0.1, 0.94, grey)
        oval(0.42 * side, -0.25, 0.1, 0.1, 0.08, grey)
        oval(0.42 * side, -0.45, 0.3, 0.06, 0.25, grey)
        oval(0.13 * side, 0.3, 0.08, 0.05, 0.55)
        oval(0.6 * side, 0.35, 0.15, 0.4, 0.9)
    oval(0, 0, 0.1, 0.35, 1.1)
    return cv2.GaussianBlur(picture, (0, 0), RADIUS / 25).astype(np.float32)
