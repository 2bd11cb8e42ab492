"""A random margin below the chin, its own for target and reference: ``task.chin_margin``.

With the same margin in both, the distance from nose to lower edge tells how far the mouth is open, and the generator
reads it there instead of in the sound (MuseTalk, its table 4).
"""

import torch
from torch import Tensor
from torch.nn import functional

LARGEST = 0.3
"""Share of the height that is cut off at most."""


def vary_chin(windows: Tensor, spread: float) -> Tensor:
    """Windows (n, T, C, H, W) in 0..1, each without a random part of its height at the bottom, stretched to H again.

    spread: standard deviation of the normal distribution whose absolute value that part is, as a share of the height.
    """
    count, frames = windows.shape[:2]
    cut = (torch.randn(count, device=windows.device) * spread).abs().clamp_max(LARGEST)
    kept = (1 - cut).repeat_interleave(frames)
    still, none = torch.ones_like(kept), torch.zeros_like(kept)
    rows = torch.stack([still, none, none, none, kept, kept - 1], 1).unflatten(1, (2, 3))
    pictures = windows.flatten(0, 1)
    grid = functional.affine_grid(rows, list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return moved.unflatten(0, (count, frames))
