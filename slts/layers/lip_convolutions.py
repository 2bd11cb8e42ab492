"""The convolution blocks of Wav2Lip's three networks, with the names of the published state dicts.

Prajwal et al. (arXiv 2008.10010). Numbers after channels are always kernel, stride, padding.
"""

from torch import Tensor, nn
from torch.nn import functional

MEL_FRAMES, MEL_FRAMES_LONG = 16, 52
"""Mel frames that a sound encoder hears at once: 0.2 s, or the 0.65 s of StableSyncNet (LatentSync's expert)."""

Size = int | tuple[int, int]


class ConvBlock(nn.Module):
    """Convolution, batch norm and ReLU; with ``residual`` the input is added before the ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size, padding: Size, residual: bool = False):
        super().__init__()
        self.residual = residual
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_block(x)
        return functional.relu(hidden + x if self.residual else hidden)


class UpBlock(nn.Module):
    """Transposed convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size, padding: Size, output_padding: int = 0):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, output_padding), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv_block(x))


class PlainBlock(nn.Module):
    """Convolution and leaky ReLU, without a norm: the quality discriminator's."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size, padding: Size):
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding))

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.conv_block(x), 0.01)


def residuals(width: int, count: int) -> list[ConvBlock]:
    """``count`` residual blocks of equal width and size."""
    return [ConvBlock(width, width, 3, 1, 1, residual=True) for _ in range(count)]


def sound_encoder(width: float, last_residuals: int, mel_frames: int = MEL_FRAMES) -> nn.Sequential:
    """Mel windows (n, 1, 80, mel_frames) to (n, round(512 width), 1, 1).

    width: of all layers as a share of the published one. last_residuals: residual blocks of 256 channels. mel_frames:
    16 (published), or 52, for which the second stage strides in time as in frequency.
    """
    a, b, c, d, e = (round(width * n) for n in (32, 64, 128, 256, 512))
    return nn.Sequential(
        ConvBlock(1, a, 3, 1, 1),
        *residuals(a, 2),
        ConvBlock(a, b, 3, (3, 1) if mel_frames == MEL_FRAMES else 3, 1),
        *residuals(b, 2),
        ConvBlock(b, c, 3, 3, 1),
        *residuals(c, 2),
        ConvBlock(c, d, 3, (3, 2), 1),
        *residuals(d, last_residuals),
        ConvBlock(d, e, 3, 1, 0),
        ConvBlock(e, e, 1, 1, 0),
    )
