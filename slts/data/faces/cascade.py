"""OpenCV's bundled frontal-face cascade (Viola and Jones 2001; the Haar model ``alt2``)."""

import cv2
import numpy as np


def load(weights: str | None = None):
    """The detector: pictures (n, H, W, 3) uint8 RGB and the smallest side in pixels to n arrays of boxes (k, 4)."""
    model = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

    def detect(pictures: np.ndarray, smallest: int) -> list[np.ndarray]:
        return [_boxes(model, picture, smallest) for picture in pictures]

    return detect


def _boxes(model: cv2.CascadeClassifier, picture: np.ndarray, smallest: int) -> np.ndarray:
    grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    found = model.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest))
    left, top, wide, high = np.asarray(found, np.float32).reshape(-1, 4).T
    return np.stack([left, top, left + wide, top + high], axis=1)
