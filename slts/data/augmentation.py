"""From stored pictures to the model's: crop, mirror, erase, mask, resize. Cropped before it is resized."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), (0.3, 3.3)
"""Share of the picture that an erased rectangle covers, and its height over its width (Zhong et al. 2020)."""
MASKED_SECONDS = 0.4
"""Longest run of frames that a time mask replaces."""


@dataclass(frozen=True)
class Augmentation:
    """Changes of a clip. With ``chunk_seconds`` None clips stay whole and only the crop remains, at the centre."""

    crop: float = 1.0
    """Side of the square crop as a share of the stored picture's."""
    flip: float = 0.0
    """Chance of mirroring."""
    erase: float = 0.0
    """Chance of a rectangle that is covered in all frames by the clip's mean colour."""
    time_mask: float = 0.0
    """Chance of a run of at most MASKED_SECONDS that is replaced by the clip's mean frame."""
    chunk_seconds: float | None = None
    """Longest random piece of a clip."""


def augment(video: np.ndarray, fps: float, size: int, change: Augmentation, rng: np.random.Generator | None) -> Tensor:
    """(T, H, W, C) uint8 to (T, C, size, size) uint8. Without ``rng`` the crop is central and nothing else happens."""
    side = round(min(video.shape[1:3]) * change.crop)
    room = video.shape[1] - side, video.shape[2] - side
    top, left = (int(rng.integers(r + 1)) if rng else r // 2 for r in room)
    video = video[:, top : top + side, left : left + side]
    if rng and rng.random() < change.flip:
        mirrored = np.empty(video.shape, np.uint8)
        for frame, target in zip(video, mirrored, strict=True):
            cv2.flip(frame, 1, dst=target)  # numpy takes ten times as long for three channels
        video = mirrored
    if rng and rng.random() < change.erase:
        video = _erase(video, rng)
    if rng and rng.random() < change.time_mask:
        video = _mask_time(video, round(MASKED_SECONDS * fps), rng)
    return _resize(video, size)


def _erase(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side, area, aspect = video.shape[1], rng.uniform(*ERASED_AREA), np.exp(rng.uniform(*np.log(ERASED_ASPECT)))
    height, width = (max(1, min(side, round(side * (area * a) ** 0.5))) for a in (aspect, 1 / aspect))
    top, left = int(rng.integers(side - height + 1)), int(rng.integers(side - width + 1))
    erased = video.copy()
    erased[:, top : top + height, left : left + width] = video.mean((0, 1, 2)).round()
    return erased


def _mask_time(video: np.ndarray, longest: int, rng: np.random.Generator) -> np.ndarray:
    length = int(rng.integers(1, max(1, min(longest, len(video) // 2)) + 1))
    first = int(rng.integers(len(video) - length + 1))
    masked = video.copy()
    masked[first : first + length] = video.mean(0).round()
    return masked


def _resize(video: np.ndarray, size: int) -> Tensor:
    side = video.shape[1]
    if side == size:
        return torch.from_numpy(np.ascontiguousarray(video)).permute(0, 3, 1, 2)
    if video.shape[3] == 3:  # on three channels torch is the faster one, on one channel OpenCV
        planes = torch.from_numpy(np.ascontiguousarray(video)).permute(0, 3, 1, 2)
        return functional.interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    resized = np.empty((len(video), 1, size, size), np.uint8)
    for frame, target in zip(video, resized, strict=True):
        cv2.resize(frame, (size, size), dst=target[0], interpolation=how)
    return torch.from_numpy(resized)


def fit_picture(frames: np.ndarray, size: int, channels: int, crop: float) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 RGB as an evaluation batch has them: (T, channels, size, size) uint8."""
    if channels == 1:
        # Shards give grey as the luma of H.264, 16-235.
        grey = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames])
        frames = (grey * (219 / 255) + 16.5).astype(np.uint8)[..., None]
    return augment(frames, 0.0, size, Augmentation(crop), None).numpy()
