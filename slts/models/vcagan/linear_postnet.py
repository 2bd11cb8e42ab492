"""From the finest mel to the linear spectrum that Griffin-Lim needs."""

import math

from torch import Tensor, nn
from torch.nn import functional

from slts.audio.mel import WINDOW


class LinearPostnet(nn.Module):
    """Conv1D k7, three residual 1-D blocks, Conv1D to the magnitudes of WINDOW // 2 + 1 bins."""

    def __init__(self, bands: int = 80, width: int = 256):
        super().__init__()
        self.first = nn.Conv1d(bands, width, 7, padding=3)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.LeakyReLU(0.2),
                nn.Conv1d(width, width, 5, padding=2),
                nn.BatchNorm1d(width),
                nn.LeakyReLU(0.2),
                nn.Conv1d(width, width, 5, padding=2),
            )
            for _ in range(3)
        )
        self.last = nn.Conv1d(width, WINDOW // 2 + 1, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Mel (B, 80, T) in [-1, 1] -> magnitude (B, T, 321), not negative."""
        x = self.first(mel)
        for block in self.blocks:
            x = (x + block(x)) / math.sqrt(2)
        return functional.softplus(self.last(functional.leaky_relu(x, 0.2)).float()).transpose(1, 2)
