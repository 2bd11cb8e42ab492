"""From video frames to mel frames by time."""

import torch
from torch import Tensor

from slts.audio.mel import MEL_RATE


def mel_lengths(frames: Tensor, fps: Tensor) -> Tensor:
    """Mel frames covered by each clip: frames (B,) video frames at fps (B,) give (B,) int64."""
    return torch.floor(frames * MEL_RATE / fps + 1e-4).long()


def upsample_by_time(features: Tensor, frames: Tensor, fps: Tensor, length: int) -> Tensor:
    """Linear interpolation of video features at the times of mel frames.

    Mel frame j lies at j x 10 ms and video frame i at i / fps, so frame j reads position j fps / 100. Interpolation by
    index phase (``align_corners=False``) would add a constant offset of 15 ms at 25 fps.

    Args:
        features: (B, T_v, D).
        frames: (B,) valid video frames; beyond the last valid frame its value is held.
        fps: (B,) video frames a second.
        length: mel frames wanted.

    Returns:
        (B, length, D).
    """
    times = torch.arange(length, device=features.device) / MEL_RATE
    return interpolate(features, torch.minimum(times * fps[:, None], (frames - 1).clamp_min(0)[:, None]))


def interpolate(features: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of features (B, T, D) at positions (B, L) of 0 .. T - 1, in frames: (B, L, D)."""
    # Each position mixes its two neighbours with weights that fall linearly to 0 at a distance of one frame.
    distance = position[..., None] - torch.arange(features.shape[1], device=features.device)
    return torch.bmm((1 - distance.abs()).clamp_min(0).to(features.dtype), features)
