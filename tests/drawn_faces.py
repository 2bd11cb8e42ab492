"""Drawn faces that detectors take for faces."""

import cv2
import numpy as np


def draw_face(picture: np.ndarray, x: float, y: float, radius: float) -> np.ndarray:
    """Draws a frontal face around (x, y) into a picture (H, W, 3) uint8 RGB; ``radius`` is half its width."""

    def oval(dx, dy, wide, high, grey, first=0, last=360, line=-1):
        centre = round(x + dx * radius), round(y + dy * radius)
        axes = max(1, round(wide * radius)), max(1, round(high * radius))
        cv2.ellipse(picture, centre, axes, 0, first, last, (grey,) * 3, line, cv2.LINE_AA)

    oval(0, -0.25, 1.1, 1.35, 40)  # hair
    oval(0, 0, 0.95, 1.3, 205)
    for side in (-1, 1):
        oval(0.42 * side, -0.3, 0.3, 0.16, 120)
        oval(0.42 * side, -0.25, 0.2, 0.1, 240)
        oval(0.42 * side, -0.25, 0.1, 0.1, 20)
        oval(0.42 * side, -0.45, 0.3, 0.06, 50)
        oval(0.13 * side, 0.3, 0.08, 0.05, 110)
        oval(0.6 * side, 0.35, 0.15, 0.4, 185)
    oval(0, 0.0, 0.1, 0.35, 225)
    oval(0, 0.7, 0.4, 0.12, 110)
    oval(0, 0.7, 0.36, 0.03, 50)
    oval(0, 1.0, 0.25, 0.08, 180)
    return cv2.GaussianBlur(picture, (0, 0), max(0.5, radius / 25))


def scene(faces: list[tuple[float, float, float]], size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A grey picture (H, W, 3) with faces at (x, y, radius)."""
    picture = np.full((*size, 3), 130, np.uint8)
    for face in faces:
        picture = draw_face(picture, *face)
    return picture
