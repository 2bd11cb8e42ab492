"""Which sound belongs to which picture, and at which shift: two towers whose products at one instant are evidence.

The picture tower sees a mouth, the sound tower hears log-mels; both give an embedding for every mel frame of 10 ms.
The mean product of the two over a stretch, as a function of the shift between them, is its profile.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slts.audio.mel import BANDS
from slts.audio.upsampling import upsample_by_time

CONTEXT = 5
"""Video frames that one feature of the picture tower sees."""


class MatchingNetwork(nn.Module):
    """Both towers.

    Args:
        view: side of the pictures, pixels; a multiple of 8.
        width: channels of the picture tower's first layer; later ones have 2 and 4 times as many.
        hidden: width of the layers over time in both towers.
        embedding: length of the embeddings.
        dropout: chance of dropping a feature of either tower, in training.
    """

    def __init__(self, view: int, width: int, hidden: int, embedding: int, dropout: float):
        super().__init__()
        self.view = view
        self.eye = nn.Sequential(
            nn.Conv3d(1, width, (CONTEXT, 5, 5), (1, 2, 2), (CONTEXT // 2, 2, 2), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.shape = nn.Sequential(
            _Halving(width, 2 * width),
            _Halving(2 * width, 4 * width),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(4 * width * (view // 8) ** 2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
        )
        self.movement = nn.Sequential(*(_OverTime(hidden, 5, dilation) for dilation in (1, 2, 4)))
        self.reach = 2 * (1 + 2 + 4)  # mel frames that the layers over time see on either side
        self.ear = nn.Sequential(
            nn.Conv1d(BANDS, hidden, 5, padding=2, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            *(_OverTime(hidden, 5, dilation) for dilation in (1, 2, 3)),
        )
        self.lips = nn.Conv1d(hidden, embedding + 1, 1)
        self.sound = nn.Conv1d(hidden, embedding + 1, 1)

    def see(self, video: Tensor, frames: Tensor, fps: Tensor, length: int, skip: int = 0) -> Tensor:
        """Mouths (B, T, 1, view, view), standardised by clip, to embeddings (B, length, E), one a mel frame.

        ``frames`` (B,) of the pictures are valid, shown at ``fps`` (B,) a second; the last is held beyond its end.
        ``skip`` pictures at either end are not looked at: what is near them is not to be used.
        """
        video = video[:, skip : video.shape[1] - skip]
        features = self.eye(video.transpose(1, 2)).transpose(1, 2)  # (B, T, W, view / 2, view / 2)
        features = self.shape(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        features = F.pad(features, (0, 0, skip, skip))
        features = upsample_by_time(features, frames, fps, length)
        return _weighted(self.lips(self.movement(features.transpose(1, 2))))

    def hear(self, mel: Tensor) -> Tensor:
        """Log-mels (B, T, 80), standardised by clip, to embeddings (B, T, E)."""
        return _weighted(self.sound(self.ear(mel.transpose(1, 2))))


class _Halving(nn.Module):
    """A residual block that halves the picture."""

    def __init__(self, given: int, wanted: int):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(given, wanted, 3, 2, 1, bias=False),
            nn.BatchNorm2d(wanted),
            nn.ReLU(inplace=True),
            nn.Conv2d(wanted, wanted, 3, 1, 1, bias=False),
            nn.BatchNorm2d(wanted),
        )
        self.past = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(given, wanted, 1, bias=False), nn.BatchNorm2d(wanted))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.path(x) + self.past(x))


class _OverTime(nn.Module):
    """A residual convolution over mel frames."""

    def __init__(self, width: int, kernel: int, dilation: int):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=kernel // 2 * dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.path(x)


def _weighted(x: Tensor) -> Tensor:
    """(B, E + 1, T) to directions (B, T, E), each as long as its instant tells something: 0..1."""
    x = x.float()
    return (F.normalize(x[:, :-1], dim=1) * torch.sigmoid(x[:, -1:])).transpose(1, 2)


def products(lips: Tensor, sound: Tensor, radius: int) -> Tensor:
    """Products of each instant's picture with the sounds around it.

    Args:
        lips: (B, T, E), of the mel frames i = 0 .. T - 1.
        sound: (B, T + 2 K, E), of the mel frames -K .. T + K - 1.
        radius: K, in mel frames.

    Returns:
        (B, T, 2 K + 1); entry [i, k + K] is picture i with sound i - k: the picture lags by k.
    """
    every = torch.bmm(lips, sound.transpose(1, 2)).contiguous()  # (B, T, T + 2 K)
    batch, count, wide = every.shape
    band = every.as_strided((batch, count, 2 * radius + 1), (count * wide, wide + 1, 1))
    return band.flip(-1)


def profiles_across(lips: Tensor, sound: Tensor) -> Tensor:
    """Mean products of every clip's picture with every clip's sound.

    Args:
        lips: (B, T, E).
        sound: (B', T + 2 K, E), as in ``products``.

    Returns:
        (B, B', 2 K + 1).
    """
    every = F.conv1d(sound.transpose(1, 2), lips.transpose(1, 2)) / lips.shape[1]  # (B', B, 2 K + 1)
    return every.transpose(0, 1).flip(-1)


def profile(lips: Tensor, sound: Tensor, frames: Tensor, radius: int) -> Tensor:
    """Mean product at each shift, over the instants for which there are both.

    Args:
        lips, sound: (B, T, E), of the same instants.
        frames: (B,) valid mel frames of each clip.
        radius: K, in mel frames.

    Returns:
        (B, 2 K + 1); entry k + K is that of a picture that lags by k; 0 where nothing overlaps.
    """
    valid = (torch.arange(lips.shape[1], device=lips.device) < frames[:, None])[..., None].to(lips.dtype)
    around = (0, 0, radius, radius)
    total = products(lips * valid, F.pad(sound * valid, around), radius).sum(1)
    count = (frames[:, None] - torch.arange(-radius, radius + 1, device=lips.device).abs()).clamp_min(1)
    return total / count


def peak(curve: Tensor) -> Tensor:
    """Where curves (B, 2 K + 1) are highest, (B,) in steps from their middle; a parabola tells parts of a step."""
    place = curve[:, 1:-1].argmax(-1, keepdim=True) + 1
    before, here, after = (curve.gather(1, place + step) for step in (-1, 0, 1))
    bend = (before - 2 * here + after).clamp_max(-1e-9)
    part = (0.5 * (before - after) / bend).clamp(-1, 1)
    return (place + part - curve.shape[1] // 2).squeeze(1)
