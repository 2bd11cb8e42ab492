"""Embeds mels at the video rate and compares them with the local visual features."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.systems.vcagan.generator import BANDS, SLOPE


class SyncNetwork(nn.Module):
    """Two convolutions of stride 2, two residual blocks, a linear layer; without normalisation (ours).

    features: D. width: c, the convolutions have 2 c and 4 c channels.
    """

    def __init__(self, features: int = 512, width: int = 32):
        super().__init__()
        self.down1 = nn.Conv2d(1, 2 * width, 5, stride=2, padding=2)
        self.down2 = nn.Conv2d(2 * width, 4 * width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(4 * width, 4 * width, 3, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            )
            for _ in range(2)
        )
        self.last = nn.Linear(4 * width * BANDS[-1] // 4, features)

    def forward(self, mel: Tensor) -> Tensor:
        """Mel (B, 80, 4 T) in [-1, 1] -> (B, T, D)."""
        x = self.down2(functional.leaky_relu(self.down1(mel[:, None]), SLOPE))
        for block in self.blocks:
            x = (x + block(x)) / math.sqrt(2)
        return self.last(functional.leaky_relu(x, SLOPE).flatten(1, 2).transpose(1, 2))


def contrastive_loss(phon: Tensor, embedded: Tensor, valid: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE within each clip, cosine similarity, temperature 1: each moment of the picture has to find its
    moment of the sound among all of the clip's, and the other way round; the mean of the two.

    phon, embedded: (B, T, D). valid: (B, T) bool, False where a clip was padded; None where none was.
    """
    similarity = _unit(phon) @ _unit(embedded).transpose(1, 2)
    target = torch.arange(phon.shape[1], device=phon.device).expand(phon.shape[:2])
    if valid is not None:
        outside = ~(valid[:, :, None] & valid[:, None])
        similarity = similarity.masked_fill(outside, -1e4)
        target = target.masked_fill(~valid, -100)  # cross_entropy's mark of what does not count
    return (
        functional.cross_entropy(similarity.transpose(1, 2), target) + functional.cross_entropy(similarity, target)
    ) / 2


def distance_loss(phon: Tensor, embedded: Tensor, valid: Tensor | None = None) -> Tensor:
    """5 - the mean of |cosine| of each moment's features; arguments as in ``contrastive_loss``."""
    cosine = (_unit(phon) * _unit(embedded)).sum(-1).abs()
    return 5 - (cosine.mean() if valid is None else cosine[valid].mean())


def _unit(features: Tensor) -> Tensor:
    return functional.normalize(features.float(), dim=-1)
