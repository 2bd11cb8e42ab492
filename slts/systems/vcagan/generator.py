"""Local visual features to mels at three resolutions, with visual context between them."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.systems.vcagan.context_attention import ContextAttention

SLOPE = 0.2
BANDS = (20, 40, 80)
"""Mel bands of the three stages, whose mels have 1, 2 and 4 frames a video frame."""


class Generator(nn.Module):
    """Three residual blocks on the repeated local features and noise, then three stages, each with a mel.

    features: D. width: c, channels of the last stage; the others have 2 c and 4 c, the blocks before them 8 c or more,
    the noise 4 c and the attention 8 c.
    """

    def __init__(self, features: int = 512, width: int = 32):
        super().__init__()
        self.noise_channels = 4 * width
        self.entrance = nn.Sequential(
            ResidualBlock(features + self.noise_channels, 16 * width),
            ResidualBlock(16 * width, 8 * width),
            ResidualBlock(8 * width, 8 * width),
        )
        self.stages = nn.ModuleList(
            [
                ResidualBlock(8 * width, 4 * width),
                ResidualBlock(4 * width, 2 * width, upsample=True),
                ResidualBlock(2 * width, width, upsample=True),
            ]
        )
        self.attentions = nn.ModuleList(
            ContextAttention(c * width, bands, features, 8 * width) for c, bands in ((4, 20), (2, 40))
        )
        self.merges = nn.ModuleList(nn.Conv2d(c * 3 // 2 * width, c * width, 5, padding=2) for c in (4, 2))
        self.to_mel = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c * width), nn.LeakyReLU(SLOPE), nn.Conv2d(c * width, 1, 1), nn.Tanh())
            for c in (4, 2, 1)
        )

    def forward(self, phon: Tensor, sent: Tensor, noise: Tensor) -> list[Tensor]:
        """Local and global features (B, T, D) and noise (B, 4 c, 20, T) -> mels in (-1, 1): (B, 20, T), (B, 40, 2 T)
        and (B, 80, 4 T)."""
        repeated = phon.transpose(1, 2)[:, :, None].expand(-1, -1, BANDS[0], -1)
        x = self.entrance(torch.cat([repeated, noise.to(phon.dtype)], 1))
        mels = []
        for index, (stage, to_mel) in enumerate(zip(self.stages, self.to_mel, strict=True)):
            x = stage(x)
            mels.append(to_mel(x).squeeze(1))
            if index < len(self.attentions):
                x = self.merges[index](torch.cat([x, self.attentions[index](x, sent)], 1))
        return mels

    def noise(self, clips: int, frames: int, generator: torch.Generator | None = None) -> Tensor:
        """Gaussian noise (clips, 4 c, 20, frames) where the weights are; with ``generator``, of the CPU, repeatable."""
        shape, device = (clips, self.noise_channels, BANDS[0], frames), self.to_mel[0][2].weight.device
        return torch.randn(shape, generator=generator, device="cpu" if generator else device).to(device)


class ResidualBlock(nn.Module):
    """BN - LeakyReLU - 5x5 twice, beside a shortcut; both doubled in size first if ``upsample`` (nearest)."""

    def __init__(self, inputs: int, outputs: int, upsample: bool = False):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 5, padding=2)
        self.conv2 = nn.Conv2d(outputs, outputs, 5, padding=2)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.upsample = upsample

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.norm1(x), SLOPE)
        shortcut = self.shortcut(x)  # a 1x1 convolution and nearest upsampling commute; this order is cheaper
        if self.upsample:
            shortcut, y = (functional.interpolate(z, scale_factor=2.0, mode="nearest") for z in (shortcut, y))
        y = self.conv2(functional.leaky_relu(self.norm2(self.conv1(y)), SLOPE))
        return (shortcut + y) / math.sqrt(2)


def coarser(mel: Tensor) -> list[Tensor]:
    """A mel (B, 80, 4 T) as the three stages should have it: averages over 4x4 and 2x2 cells (ours), and itself."""
    cells = mel[:, None]
    return [functional.avg_pool2d(cells, 4).squeeze(1), functional.avg_pool2d(cells, 2).squeeze(1), mel]
