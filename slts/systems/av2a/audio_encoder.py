"""From a sound to a contribution at the video rate: of its mel, or of its waveform."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.audio.mel import MEL_RATE
from slts.audio.upsampling import interpolate
from slts.systems.frame_rate import SAMPLES

STRIDES = (1, 2, 2, 1)
RATE = MEL_RATE / 4
"""Frames a second after the strides; frame i is centred on mel frame 4 i, which is heard at i x 40 ms."""
WAVE_STRIDES = (10, 8, 4, 2)
"""SAMPLES all together."""


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
            layers += [_convolution(inputs, width, 5, stride, 2), nn.BatchNorm1d(width), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.project = zero_linear(widths[-1], outputs)

    def forward(self, mel: Tensor, frames: int, fps: Tensor) -> Tensor:
        """Standardised mel (B, T_m, bands) to (B, frames, outputs) at the instants i / fps of frames; fps (B,)."""
        hidden = self.layers(mel.transpose(1, 2)).transpose(1, 2)
        times = torch.arange(frames, device=mel.device) / fps[:, None]
        return self.project(interpolate(hidden, (times * RATE).clamp_max(hidden.shape[1] - 1)))


class WaveEncoder(nn.Module):
    """Four Conv1D - BN - GELU whose kernels are twice as long as their strides, and a linear layer that begins at zero.

    Args:
        widths: channels of the four convolutions.
        outputs: width of what it joins.
    """

    def __init__(self, widths: tuple[int, ...], outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width, s in zip((1, *widths), widths, WAVE_STRIDES, strict=False):
            layers += [_convolution(inputs, width, 2 * s, s, s // 2), nn.BatchNorm1d(width), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.project = zero_linear(widths[-1], outputs)

    def forward(self, audio: Tensor, frames: int) -> Tensor:
        """Audio (B, N) to (B, frames, outputs) at 25 frames a second; what lacks at the end is silence."""
        wanted = frames * SAMPLES
        audio = functional.pad(audio, (0, max(0, wanted - audio.shape[1])))[:, :wanted]
        return self.project(self.layers(audio[:, None]).transpose(1, 2))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Conv1d:
    """Without a bias, which batch norm takes out again. Of silence, where nothing varies, batch norm makes much of any
    step that Adam has made with it since: an encoder that learned from silence alone gave noise."""
    return nn.Conv1d(inputs, outputs, kernel, stride, padding, bias=False)


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that gives 0 at first; its gradient is not 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
