"""UnivNet's generator: mel to audio by location-variable convolutions (Jang et al., Interspeech 2021, section 2.1).

Noise at the mel's rate is upsampled in blocks; in each block a small network on the mel predicts the kernels with which
every mel frame's stretch of samples is filtered.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.2
"""Of every leaky ReLU."""
KERNEL = 3
"""Samples a location-variable kernel spans."""


class UnivNet(nn.Module):
    """The generator.

    channels: c, 16 or 32 in the paper. mel_bands: of the conditioning mel. strides: upsampling of each block, whose
    product is the hop in samples. noise_channels: of the input noise. dilations: of the layers in each block. hidden:
    width of the kernel predictors.
    """

    def __init__(
        self,
        channels: int,
        mel_bands: int = 80,
        strides: tuple[int, ...] = (8, 5, 4),
        noise_channels: int = 64,
        dilations: tuple[int, ...] = (1, 3, 9, 27),
        hidden: int = 64,
    ):
        super().__init__()
        self.noise_channels = noise_channels
        self.hop = prod(strides)
        self.input = weight_norm(nn.Conv1d(noise_channels, channels, 7, padding=3, padding_mode="reflect"))
        self.blocks = nn.ModuleList(UpsamplingBlock(channels, mel_bands, s, dilations, hidden) for s in strides)
        self.output = weight_norm(nn.Conv1d(channels, 1, 7, padding=3, padding_mode="reflect"))

    def forward(self, mel: Tensor, noise: Tensor | None = None) -> Tensor:
        """Audio (B, T * hop) in (-1, 1) of a standardised mel (B, T, mel_bands).

        noise: standard normal, (B, noise_channels, T), drawn here when None. T is at least 4 (reflection padding).
        """
        if noise is None:
            noise = torch.randn(mel.shape[0], self.noise_channels, mel.shape[1], device=mel.device, dtype=mel.dtype)
        mel = mel.transpose(1, 2)
        x = self.input(noise)
        for block in self.blocks:
            x = block(x, mel)
        return torch.tanh(self.output(functional.leaky_relu(x, SLOPE))).squeeze(1)

    @torch.no_grad()
    def generate(self, mel: Tensor, silence: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Audio (B, T * hop) for listening: the clip is followed by 10 silent frames, which are cut off again.

        A kernel predictor sees 9 frames to either side; so what it sees past the clip's end is silence and not padding.
        silence: the standardised value of a silent frame, one number or (mel_bands,). generator: makes the noise
        repeatable; on the mel's device.
        """
        tail = torch.as_tensor(silence, dtype=mel.dtype, device=mel.device).expand(mel.shape[0], 10, mel.shape[2])
        extended = torch.cat([mel, tail], 1)
        shape = (mel.shape[0], self.noise_channels, extended.shape[1])
        noise = torch.randn(shape, generator=generator, device=mel.device, dtype=mel.dtype)
        return self(extended, noise)[:, : mel.shape[1] * self.hop]


class UpsamplingBlock(nn.Module):
    """Transposed convolution, then one gated location-variable convolution for each dilation."""

    def __init__(self, channels: int, mel_bands: int, stride: int, dilations: tuple[int, ...], hidden: int):
        super().__init__()
        odd = stride % 2
        self.upsample = weight_norm(
            nn.ConvTranspose1d(channels, channels, 2 * stride, stride, padding=stride // 2 + odd, output_padding=odd)
        )
        self.predictor = KernelPredictor(channels, mel_bands, len(dilations), hidden)
        self.convolutions = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels, KERNEL, padding=d, dilation=d)) for d in dilations
        )

    def forward(self, x: Tensor, mel: Tensor) -> Tensor:
        """(B, c, L), mel (B, mel_bands, T) with L a multiple of T -> (B, c, L * stride)."""
        x = self.upsample(functional.leaky_relu(x, SLOPE))
        kernels, biases = self.predictor(mel)
        for layer, convolution in enumerate(self.convolutions):
            y = functional.leaky_relu(convolution(functional.leaky_relu(x, SLOPE)), SLOPE)
            y = location_variable_convolution(y, kernels[:, :, layer], biases[:, :, layer])
            gate, value = y.chunk(2, 1)
            x = x + torch.sigmoid(gate) * torch.tanh(value)
        return x


class KernelPredictor(nn.Module):
    """From the mel, the kernels and biases of all location-variable convolutions of one block."""

    def __init__(self, channels: int, mel_bands: int, layers: int, hidden: int):
        super().__init__()
        self.kernel_shape = (layers, 2 * channels, channels * KERNEL)
        self.input = weight_norm(nn.Conv1d(mel_bands, hidden, 5, padding=2))
        self.residuals = nn.ModuleList(
            nn.Sequential(
                weight_norm(nn.Conv1d(hidden, hidden, 3, padding=1)),
                nn.LeakyReLU(SLOPE),
                weight_norm(nn.Conv1d(hidden, hidden, 3, padding=1)),
                nn.LeakyReLU(SLOPE),
            )
            for _ in range(3)
        )
        # Convolutions over 3 frames, written as linear layers on unfolded frames: the kernels of one mel frame then
        # come out together in memory, as the batched product needs them; half the time of a Conv1d at c = 32.
        self.kernels = weight_norm(nn.Linear(hidden * 3, prod(self.kernel_shape)))
        self.biases = weight_norm(nn.Linear(hidden * 3, layers * 2 * channels))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel (B, mel_bands, T) -> kernels (B, T, layers, 2c, 3c), biases (B, T, layers, 2c)."""
        x = functional.leaky_relu(self.input(mel), SLOPE)
        for residual in self.residuals:
            x = x + residual(x)
        frames = functional.unfold(x.unsqueeze(2), (1, 3), padding=(0, 1)).transpose(1, 2)
        layers, outputs, _ = self.kernel_shape
        return self.kernels(frames).unflatten(-1, self.kernel_shape), self.biases(frames).unflatten(
            -1, (layers, outputs)
        )


def location_variable_convolution(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """Filters each of T equal stretches of x (B, c, L) with a kernel of its own: (B, outputs, L).

    kernels (B, T, outputs, c * 3), flattened as a Conv1d's weight (outputs, c, 3); biases (B, T, outputs). A stretch
    sees one sample of its neighbours at either side, zeros beyond the ends of x (Zeng et al., LVCNet, 2021).
    """
    batch, frames, outputs, _ = kernels.shape
    hop = x.shape[-1] // frames
    stretches = functional.pad(x, (1, 1)).unfold(2, hop + KERNEL - 1, hop).transpose(1, 2)
    taps = torch.stack([stretches[..., tap : tap + hop] for tap in range(KERNEL)], 3)
    y = torch.baddbmm(biases.reshape(-1, outputs, 1), kernels.flatten(0, 1), taps.flatten(0, 1).flatten(1, 2))
    return y.unflatten(0, (batch, frames)).transpose(1, 2).flatten(2)
