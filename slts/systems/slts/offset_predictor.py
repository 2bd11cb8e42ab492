"""The audio-visual time offset predictor of section 3.3.1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cross_correlation(video: Tensor, audio: Tensor, radius: int) -> Tensor:
    """Eq. 1: c_k = sum over i of <v_i, u_(i-k)>, over the i for which both frames exist.

    A video that lags the audio by k mel frames puts the peak at +k.

    Args:
        video: v, local video embeddings (B, T, D), zero where there is no frame.
        audio: u, local audio embeddings (B, T, D), zero where there is no frame.
        radius: K.

    Returns:
        (B, 2 K + 1), entry k + K holds c_k.
    """
    batch, length, _ = video.shape
    padded = F.pad(audio, (0, 0, radius, radius))
    # Entry (i, m) of the band is <v_i, u_(i + m - K)>: a diagonal of the Gram matrix is a column of the strided view.
    gram = torch.bmm(video, padded.transpose(1, 2)).contiguous()
    width = length + 2 * radius
    band = gram.as_strided((batch, length, 2 * radius + 1), (length * width, width + 1, 1))
    return band.sum(1).flip(1)


class LocalExtractor(nn.Module):
    """Conv1D k3 - BN - GELU - Conv1D k1 - BN - GELU - FC - L2 norm per frame: (B, T, inputs) to (B, T, outputs).

    The receptive field is one mel frame to each side, so that an embedding cannot know of a shift.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        hidden = 2 * outputs
        self.layers = nn.Sequential(
            nn.Conv1d(inputs, hidden, 3, padding=1),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Conv1d(hidden, hidden, 1),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
        )
        self.project = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layers(x.transpose(1, 2)).transpose(1, 2)
        return F.normalize(self.project(hidden).float(), dim=-1)


class OffsetPredictor(nn.Module):
    """Categorical distribution of the offset between video features and a mel, in mel frames.

    Args:
        video_width: D_f of the video features.
        mel_bands: bands of the mel.
        embedding_width: width of the local embeddings.
        radius: K, the largest offset considered.
        temperature: tau of eq. 2, for the plain sum of eq. 1 (its sharpness grows with the length of the clip).
    """

    def __init__(self, video_width: int, mel_bands: int, embedding_width: int, radius: int, temperature: float):
        super().__init__()
        self.video = LocalExtractor(video_width, embedding_width)
        self.audio = LocalExtractor(mel_bands, embedding_width)
        self.radius = radius
        self.temperature = temperature

    def forward(self, features: Tensor, mel: Tensor, lengths: Tensor) -> Tensor:
        """Eq. 2 as log P(k | F, M).

        Args:
            features: F at the mel rate (B, T, D_f).
            mel: standardised mel (B, T, bands).
            lengths: valid mel frames (B,).

        Returns:
            (B, 2 K + 1) log probabilities, entry k + K for offset k; k > 0 where the video lags the audio.
        """
        valid = (torch.arange(mel.shape[1], device=mel.device) < lengths[:, None])[..., None]
        # Masked before as well: the convolution must see the same beyond the end of a clip, padded or not.
        v, u = self.video(features * valid) * valid, self.audio(mel * valid) * valid
        with torch.autocast(mel.device.type, enabled=False):
            correlation = cross_correlation(v.float(), u.float(), self.radius)
            return F.log_softmax(correlation / self.temperature, dim=-1)
