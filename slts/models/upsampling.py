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
    last = (frames - 1).clamp_min(0)[:, None].float()
    position = torch.minimum(times[None] * fps[:, None], last)
    left = (position + 1e-4).floor().clamp_min(0)
    fraction = (position - left).clamp_min(0)[..., None].to(features.dtype)
    left = left.long()
    right = torch.minimum(left + 1, last.long())
    width = features.shape[-1]
    here = features.gather(1, left[..., None].expand(-1, -1, width))
    after = features.gather(1, right[..., None].expand(-1, -1, width))
    return torch.lerp(here, after, fraction.expand_as(here))
