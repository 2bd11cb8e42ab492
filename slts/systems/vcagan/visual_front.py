"""Video to local and global visual features: 3-D stem, ResNet18 with PReLU, bidirectional GRU."""

import torch
from torch import Tensor, nn

from slts.layers.frame_encoder import ResidualBlock


class VisualFront(nn.Module):
    """Local ("phonetic") features of each moment and global ("sentence") features that know the whole clip.

    channels: of the picture. width: of the first stage; both features are D = 8 width wide. blocks: residual blocks in
    each of the four stages. dropout: on the GRU's input.
    """

    def __init__(
        self, channels: int = 1, width: int = 64, blocks: tuple[int, ...] = (2, 2, 2, 2), dropout: float = 0.3
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(channels, width, (5, 7, 7), (1, 2, 2), padding=(2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.PReLU(width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        )
        layers, inputs = [], width
        for index, count in enumerate(blocks):
            outputs = width << index
            for place in range(count):
                stride = 2 if index and not place else 1
                layers.append(ResidualBlock(inputs, outputs, stride, nn.PReLU))
                inputs = outputs
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(inputs, inputs, num_layers=2, batch_first=True, bidirectional=True)
        self.to_global = nn.Linear(2 * inputs, inputs)
        self.output_width = inputs

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised video (B, T, channels, H, W), H and W at least 32 -> local (B, T, D) and global (B, T, D)."""
        x = self.stem(video.transpose(1, 2))
        x = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        phon = self.trunk(x).mean((2, 3)).unflatten(0, video.shape[:2])
        return phon, self.to_global(self.gru(self.dropout(phon))[0])
