"""From the finest mel to the linear spectrum that Griffin-Lim needs."""

import math

from torch import Tensor, nn
from torch.nn import functional

from slts.audio.emphasised import spread
from slts.audio.mel import BANDS, WINDOW


class LinearPostnet(nn.Module):
    """Conv1D k7, three residual 1-D blocks, Conv1D to a factor for each of WINDOW // 2 + 1 bins.

    The factors multiply the mel spread over the bins, and are 1 at first (ours): magnitudes cover five orders, and from
    nothing the network takes thousands of steps to find what the mel says anyway.
    """

    def __init__(self, width: int = 256):
        super().__init__()
        self.first = nn.Conv1d(BANDS, width, 7, padding=3)
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
        nn.init.zeros_(self.last.weight)
        nn.init.constant_(self.last.bias, math.log(math.e - 1))  # where softplus is 1

    def forward(self, mel: Tensor) -> Tensor:
        """Mel (B, 80, T) in [-1, 1] -> magnitude (B, T, 321), not negative."""
        x = self.first(mel)
        for block in self.blocks:
            x = (x + block(x)) / math.sqrt(2)
        factor = functional.softplus(self.last(functional.leaky_relu(x, 0.2)).float())
        return spread(mel.mT) * factor.mT
