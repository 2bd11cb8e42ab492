"""SyncNet (Chung and Zisserman, Out of Time, 2016) in the layout of the published weights.

A lip network sees 5 frames at 25 a second, an audio network hears the 20 MFCC frames of the same 0.2 s; both give an
embedding. Where picture and sound belong together, the embeddings are near.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slts.audio.mfcc import COEFFICIENTS

RATE = 25
"""Video frames a second."""
FRAMES = 5
"""Video frames of a window."""
MFCC_FRAMES, MFCC_STEP = 20, 4
"""MFCC frames of a window, and from one video frame to the next."""
SMALLEST = 56
"""Side of the smallest picture that the lip network can pool, pixels."""


def _block(conv: nn.Module, norm: type[nn.Module]) -> list[nn.Module]:
    return [conv, norm(conv.out_channels), nn.ReLU(inplace=True)]


class SyncNet(nn.Module):
    """Lip network and audio network.

    Args:
        image_size: side of the pictures; published 224.
        channels: of the pictures, 3 in the order BGR (published) or 1 for grey.
        width: width of all layers as a share of the published one, 1 gives 13.6 M parameters at 224 pixels.

    The names in the state dict are those of the published weights: ``netcnnlip``, ``netfclip``, ``netcnnaud``,
    ``netfcaud``, each followed by the number of a layer in order.
    """

    def __init__(self, image_size: int = 224, channels: int = 3, width: float = 1.0):
        super().__init__()
        thin, narrow, wide, deep, flat = (max(1, round(width * n)) for n in (64, 96, 192, 256, 512))
        thick, self.embedding = round(width * 384), round(width * 1024)
        left = image_size
        for kernel, stride, padding in ((7, 2, 0), (3, 2, 0), (5, 2, 1), (3, 2, 1), (3, 2, 0)):
            left = (left + 2 * padding - kernel) // stride + 1
        self.netcnnlip = nn.Sequential(
            *_block(nn.Conv3d(channels, narrow, (FRAMES, 7, 7), (1, 2, 2)), nn.BatchNorm3d),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(narrow, deep, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.BatchNorm3d),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *(
                layer
                for _ in range(3)
                for layer in _block(nn.Conv3d(deep, deep, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d)
            ),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(deep, flat, (1, left, left)), nn.BatchNorm3d),
        )
        self.netcnnaud = nn.Sequential(
            *_block(nn.Conv2d(1, thin, 3, padding=1), nn.BatchNorm2d),
            nn.MaxPool2d(1),  # does nothing, but counts in the names
            *_block(nn.Conv2d(thin, wide, 3, padding=1), nn.BatchNorm2d),
            nn.MaxPool2d(3, (1, 2)),
            *_block(nn.Conv2d(wide, thick, 3, padding=1), nn.BatchNorm2d),
            *_block(nn.Conv2d(thick, deep, 3, padding=1), nn.BatchNorm2d),
            *_block(nn.Conv2d(deep, deep, 3, padding=1), nn.BatchNorm2d),
            nn.MaxPool2d(3, 2),
            *_block(nn.Conv2d(deep, flat, (5, 4)), nn.BatchNorm2d),
        )
        self.netfclip, self.netfcaud = (
            nn.Sequential(
                nn.Linear(flat, flat), nn.BatchNorm1d(flat), nn.ReLU(inplace=True), nn.Linear(flat, self.embedding)
            )
            for _ in range(2)
        )

    def embed_lips(self, video: Tensor) -> Tensor:
        """Pictures (B, T, C, H, W), 0..255, BGR or grey, at 25 a second: embeddings (B, T - 4, E) of all windows.

        The window v begins with frame v. Layers after the first see single frames, so windows share nothing but it.
        """
        hidden = self.netcnnlip(video.transpose(1, 2))  # (B, D, T - 4, 1, 1)
        hidden = hidden.flatten(2).transpose(1, 2)
        return self.netfclip(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])

    def embed_audio(self, mfcc: Tensor) -> Tensor:
        """MFCCs (B, J, 13) at 100 a second: embeddings (B, (J - 20) // 4 + 1, E); window v begins with frame 4 v."""
        windows = mfcc.unfold(1, MFCC_FRAMES, MFCC_STEP)  # (B, W, 13, 20)
        hidden = self.netcnnaud(windows.reshape(-1, 1, COEFFICIENTS, MFCC_FRAMES))
        return self.netfcaud(hidden.flatten(1)).unflatten(0, windows.shape[:2])


def distance_curve(lips: Tensor, audio: Tensor, radius: int) -> Tensor:
    """Mean distance of a clip's lip embeddings to its audio embeddings at each shift, as in the published evaluation.

    Args:
        lips, audio: embeddings (W, E) of the windows v = 0 .. W - 1.
        radius: K, the largest shift in video frames.

    Returns:
        (2 K + 1,), entry k + K the mean over v of |lips_v - audio_(v - k)|, where audio outside the clip is zero. The
        curve is lowest at k > 0 where the video lags the audio. (The published code lists the shifts in falling order.)
    """
    padded = F.pad(audio, (0, 0, radius, radius))
    count = len(lips)
    shifts = range(2 * radius, -1, -1)  # audio_(v - k) is padded_(v - k + K)
    return torch.stack([F.pairwise_distance(lips, padded[first : first + count]).mean() for first in shifts])


def read_curve(curve: Tensor) -> tuple[int, float, float]:
    """Offset in video frames (positive where the video lags), smallest distance, and confidence = median - smallest."""
    radius = len(curve) // 2
    # Of equal distances the published code takes the first in its order, that of the largest offset.
    place = len(curve) - 1 - int(curve.flip(0).argmin())
    smallest = float(curve[place])
    return place - radius, smallest, float(curve.median()) - smallest
