"""A 3-D convolution over five frames and ResNet18 on each: the front of many systems that read lips."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from slts.layers.frame_encoder import ResidualBlock


class LipFront(nn.Module):
    """Features of each frame that know two frames before and after it. The defaults have 11.2 M parameters.

    channels: of the picture. width: of the first stage, doubled in each next one. blocks: residual blocks in each of
    the four stages. activation: channels -> non-linearity.
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 64,
        blocks: tuple[int, ...] = (2, 2, 2, 2),
        activation: Callable[[int], nn.Module] = lambda _: nn.SiLU(),
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(channels, width, (5, 7, 7), (1, 2, 2), padding=(2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            activation(width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        )
        layers, inputs = [], width
        for index, count in enumerate(blocks):
            outputs = width << index
            for place in range(count):
                layers.append(ResidualBlock(inputs, outputs, 2 if index and not place else 1, activation))
                inputs = outputs
        self.trunk = nn.Sequential(*layers)
        self.output_width = inputs

    def forward(self, video: Tensor, valid: Tensor | None = None) -> Tensor:
        """Standardised video (B, T, channels, H, W), H and W at least 32 -> (B, T, output_width).

        ``valid`` (B, T) tells which frames pad no shorter clip, whose features are then those of the clip alone.
        """
        video = video if valid is None else video * valid[:, :, None, None, None]
        x = self.stem(video.transpose(1, 2))
        x = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.trunk(x).mean((2, 3)).unflatten(0, video.shape[:2])
