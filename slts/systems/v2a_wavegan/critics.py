"""Two critics, of the waveform and of its power spectrum, as a Wasserstein GAN with gradient penalty (Gulrajani et al.,
2017) has them: scores without bounds, no batch norm."""

from itertools import pairwise

import torch
from torch import Tensor, nn

SLOPE = 0.2


class WaveformCritic(nn.Sequential):
    """Five Conv1D k25 that shorten time by 4, each twice as wide as the one before but the last: (B, N) to (B,)."""

    def __init__(self, width: int):
        widths = (1, width, 2 * width, 4 * width, 8 * width, 8 * width)
        layers = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Conv1d(inputs, outputs, 25, 4, padding=12), nn.LeakyReLU(SLOPE))
        ]
        super().__init__(*layers, nn.Conv1d(widths[-1], 1, 1))

    def forward(self, audio: Tensor) -> Tensor:
        return super().forward(audio[:, None]).float().mean((1, 2))


class PowerCritic(nn.Sequential):
    """Four 3x3 convolutions that halve both axes of a log-power spectrum: (B, bins, frames) to (B,)."""

    def __init__(self, width: int):
        widths = (1, width, 2 * width, 4 * width, 4 * width)
        layers = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Conv2d(inputs, outputs, 3, 2, padding=1), nn.LeakyReLU(SLOPE))
        ]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 1))

    def forward(self, power: Tensor) -> Tensor:
        return super().forward(power[:, None]).float().mean((1, 2, 3))


def log_power(spectrum: Tensor) -> Tensor:
    """Natural log of the power of a magnitude spectrogram (B, 321, T), at least -11.5 as in the mel, over 5."""
    return spectrum.square().clamp_min(1e-5).log() / 5


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, penalty: float) -> Tensor:
    """Mean score of the fake less that of the real, and ``penalty`` times the mean of (|gradient| - 1)^2 at random
    points between the two. real, fake: (B, ...), of which the critic alone learns."""
    real, fake = real.detach(), fake.detach()
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    [gradient] = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # The norm has no gradient at zero.
    steepness = (gradient.float().square().flatten(1).sum(1) + 1e-12).sqrt()
    return critic(fake).mean() - critic(real).mean() + penalty * (steepness - 1).square().mean()
