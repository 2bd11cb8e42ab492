"""From a mel to a contribution at the video rate."""

import torch
from torch import Tensor, nn

from slts.audio.mel import MEL_RATE
from slts.audio.upsampling import interpolate

STRIDES = (1, 2, 2, 1)
RATE = MEL_RATE / 4
"""Frames a second after the strides; frame i is centred on mel frame 4 i, which is heard at i x 40 ms."""


class AudioEncoder(nn.Module):
    """Four Conv1D k5 - BN - GELU and a linear layer that begins at zero: what joins it is at first as it was without.

    Args:
        bands: mel bands.
        widths: channels of the four convolutions.
        outputs: width of what it joins.
    """

    def __init__(self, bands: int, widths: tuple[int, ...], outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width, stride in zip((bands, *widths), widths, STRIDES, strict=False):
            layers += [nn.Conv1d(inputs, width, 5, stride, padding=2), nn.BatchNorm1d(width), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(widths[-1], outputs)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, mel: Tensor, frames: int, fps: Tensor) -> Tensor:
        """Standardised mel (B, T_m, bands) to (B, frames, outputs) at the instants i / fps of frames; fps (B,)."""
        hidden = self.layers(mel.transpose(1, 2)).transpose(1, 2)
        times = torch.arange(frames, device=mel.device) / fps[:, None]
        return self.project(interpolate(hidden, (times * RATE).clamp_max(hidden.shape[1] - 1)))
