"""One discriminator for each resolution of the mel; R1 regularises them (Mescheder et al., 2018)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.systems.vcagan.generator import BANDS, SLOPE


class ConditionalDiscriminators(nn.Module):
    """Whether a mel is real (unconditional head), and whether it is that of the video (conditional head).

    features: D, width of the condition. width: c, channels of the finest discriminator's first layer; every map ends
    with 16 c channels on 5 x T cells (ours).
    """

    def __init__(self, features: int = 512, width: int = 32):
        super().__init__()
        self.nets = nn.ModuleList(
            ConditionalDiscriminator(features, (BANDS[-1] // bands) * width, downs)
            for bands, downs in zip(BANDS, (2, 3, 4), strict=True)
        )

    def forward(self, mels: list[Tensor], sent: Tensor) -> list[Tensor]:
        """Mels (B, 20, T), (B, 40, 2 T), (B, 80, 4 T), T at least 4, and the condition (B, D) -> for each of them
        logits (B, 2), the unconditional one first."""
        return [net(mel, sent) for net, mel in zip(self.nets, mels, strict=True)]


class ConditionalDiscriminator(nn.Module):
    def __init__(self, features: int, width: int, downs: int):
        super().__init__()
        top = width << downs
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(*(DownBlock(width << i, width << i + 1) for i in range(downs)))
        self.unconditional = _head(top)
        self.conditional = _head(top + features)

    def forward(self, mel: Tensor, sent: Tensor) -> Tensor:
        x = self.blocks(self.first(mel[:, None]))
        condition = sent[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)
        alone, together = self.unconditional(x), self.conditional(torch.cat([x, condition], 1))
        return torch.stack([alone.mean((1, 2, 3)), together.mean((1, 2, 3))], 1).float()


class DownBlock(nn.Module):
    """LeakyReLU - 3x3 twice, the map halved in between, beside a shortcut; no normalisation."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(self.conv1(functional.leaky_relu(x, SLOPE)), 2)
        y = self.conv2(functional.leaky_relu(y, SLOPE))
        return (self.shortcut(functional.avg_pool2d(x, 2)) + y) / math.sqrt(2)


def _head(inputs: int) -> nn.Sequential:
    """Scores of the cells of a map."""
    hidden = inputs // 4
    return nn.Sequential(
        nn.LeakyReLU(SLOPE), nn.Conv2d(inputs, hidden, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(hidden, 1, 1)
    )


def discriminator_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Logistic loss: softplus(-real) + softplus(fake), summed over the heads and averaged over clips and scales.

    real, fake: logits (B, heads) of each scale.
    """
    terms = [functional.softplus(-r) + functional.softplus(f) for r, f in zip(real, fake, strict=True)]
    return sum(term.sum(1).mean() for term in terms) / len(terms)


def generator_loss(fake: list[Tensor]) -> Tensor:
    """Non-saturating loss: softplus(-fake), summed over the heads and averaged over clips and scales."""
    return sum(functional.softplus(-f).sum(1).mean() for f in fake) / len(fake)


def gradient_penalty(logits: list[Tensor], mels: list[Tensor]) -> Tensor:
    """R1: the squared norm of d unconditional logit / d real mel, averaged over clips and scales.

    logits: (B, heads) of each scale, computed from ``mels``, which require gradients. Differentiable itself.
    """
    scores = sum(logit[:, 0].sum() for logit in logits)
    gradients = torch.autograd.grad(scores, mels, create_graph=True)
    return sum(g.float().square().flatten(1).sum(1).mean() for g in gradients) / len(gradients)
