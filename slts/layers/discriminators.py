"""UnivNet's discriminators: MRSD on spectrograms, MPWD on periods of the waveform (Jang et al., Interspeech 2021, 2.2).

Each of the eight nets returns a map of scores; least-squares GAN drives them to 1 on recorded and 0 on generated audio.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from slts.layers.univnet import SLOPE

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""(FFT, hop, window) in samples; those of the generator's STFT loss, kept at 16 kHz."""
PERIODS = (2, 3, 5, 7, 11)
"""Samples a row of a folded waveform."""


class UnivNetDiscriminators(nn.Module):
    """Three spectrogram nets (MRSD) and five period nets (MPWD): 17.7 M parameters as published.

    widths: channels of a period net's convolutions. spectral_width: channels of a spectrogram net.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512, 1024), spectral_width: int = 32):
        super().__init__()
        self.nets = nn.ModuleList(
            [SpectrogramNet(*resolution, spectral_width) for resolution in RESOLUTIONS]
            + [PeriodNet(period, widths) for period in PERIODS]
        )

    def forward(self, audio: Tensor) -> list[Tensor]:
        """Audio (B, N) in (-1, 1), N > 904 -> eight maps of scores, the last two dimensions of each its own."""
        return [net(audio) for net in self.nets]


class SpectrogramNet(nn.Module):
    """2-D convolutions on a linear magnitude spectrogram; the middle ones halve the time axis."""

    def __init__(self, fft: int, hop: int, window: int, width: int):
        super().__init__()
        self.fft, self.hop = fft, hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        middle = [weight_norm(nn.Conv2d(width, width, (3, 9), (1, 2), padding=(1, 4))) for _ in range(3)]
        self.layers = _activated(
            weight_norm(nn.Conv2d(1, width, (3, 9), padding=(1, 4))),
            *middle,
            weight_norm(nn.Conv2d(width, width, 3, padding=1)),
        )
        self.score = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Tensor:
        """(B, N) -> (B, 1, FFT // 2 + 1, frames / 8)."""
        with torch.autocast(audio.device.type, enabled=False):
            edge = (self.fft - self.hop) // 2
            padded = functional.pad(audio.float(), (edge, edge), mode="reflect")
            spectrum = torch.stft(
                padded, self.fft, self.hop, len(self.window), self.window, center=False, return_complex=True
            )
            # The square root has no gradient at zero, and digital silence is common.
            magnitude = (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-12).sqrt()
        return self.score(self.layers(magnitude[:, None]))


class PeriodNet(nn.Module):
    """Convolutions along the columns of the waveform folded into rows of ``period`` samples."""

    def __init__(self, period: int, widths: tuple[int, ...]):
        super().__init__()
        self.period = period
        strides = [3] * (len(widths) - 1) + [1]
        convolutions = [
            weight_norm(nn.Conv2d(inputs, outputs, (5, 1), (stride, 1), padding=(2, 0)))
            for inputs, outputs, stride in zip((1, *widths), widths, strides, strict=False)
        ]
        self.layers = _activated(*convolutions)
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> Tensor:
        """(B, N) -> (B, 1, N / period / 81, period)."""
        padded = functional.pad(audio, (0, -audio.shape[-1] % self.period), mode="reflect")
        return self.score(self.layers(padded.unflatten(-1, (-1, self.period))[:, None]))


def _activated(*convolutions: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(layer for c in convolutions for layer in (c, nn.LeakyReLU(SLOPE, inplace=True))))


def adversarial_losses(critic: nn.Module, recorded: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares losses of generator and critic (Mao et al., 2017), each the mean over the critic's nets.

    The two share nothing but the inputs: the first moves only what made ``generated``, the second only the critic.
    So one backward pass of their sum, and one step, train both, as alternating steps on the same audio do.

    recorded, generated: (B, N).
    """
    fooled = frozen(critic, generated)
    real, fake = critic(recorded), critic(generated.detach())
    generator = sum((score.float() - 1).square().mean() for score in fooled)
    judge = sum((r.float() - 1).square().mean() + f.float().square().mean() for r, f in zip(real, fake, strict=True))
    return generator / len(fooled), judge / len(fooled)


def frozen(module: nn.Module, *inputs: Tensor):
    """``module(*inputs)``, whose gradient reaches the inputs but not the module's parameters."""
    return functional_call(module, {name: p.detach() for name, p in module.named_parameters()}, inputs)
