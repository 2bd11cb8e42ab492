"""From frame features to mels: the paper's decoder, and a context-free probe."""

import torch
from torch import Tensor, nn

from slts.audio.upsampling import upsample_by_time
from slts.layers.conformer import Conformer


class PostNet(nn.Sequential):
    """Three Conv1D k5 - BN - GELU and a last Conv1D k5: (B, inputs, T) to (B, bands, T)."""

    def __init__(self, inputs: int, width: int, bands: int):
        layers: list[nn.Module] = []
        for depth in range(3):
            layers += [
                nn.Conv1d(inputs if depth == 0 else width, width, 5, padding=2),
                nn.BatchNorm1d(width),
                nn.GELU(),
            ]
        super().__init__(*layers, nn.Conv1d(width, bands, 5, padding=2))


class MelDecoder(nn.Module):
    """Speaker embedding, conformer at the video rate, upsampling by time, post-net (section 3.2).

    Args:
        features: D_f of the frame encoder.
        speakers: number of speakers.
        speaker_width: width of the learned speaker embedding.
        width, layers, heads, kernel, dropout: of the conformer.
        postnet_width: channels of the post-net.
        bands: mel bands.
    """

    def __init__(
        self,
        *,
        features: int,
        speakers: int,
        speaker_width: int,
        width: int,
        layers: int,
        heads: int,
        kernel: int,
        dropout: float,
        postnet_width: int,
        bands: int,
    ):
        super().__init__()
        self.speaker = nn.Embedding(speakers, speaker_width)
        self.project = nn.Linear(features + speaker_width, width)
        self.conformer = Conformer(width, layers, heads, kernel, dropout)
        self.postnet = PostNet(width, postnet_width, bands)

    def forward(
        self,
        features: Tensor,
        speaker: Tensor,
        frames: Tensor,
        fps: Tensor,
        length: int,
        valid: Tensor | None,
        heard: Tensor | None = None,
    ) -> Tensor:
        """features (B, T_v, D_f), speaker ids, valid video frames and fps (each (B,)) to mel (B, length, bands).

        ``valid`` (B, T_v) tells the conformer which frames are not padding; None where all are, which is quicker.
        ``heard`` (B, T_v, width) joins what the conformer gets.
        """
        embedding = self.speaker(speaker)[:, None].expand(-1, features.shape[1], -1)
        hidden = self.project(torch.cat([features, embedding.to(features.dtype)], -1))
        hidden = hidden if heard is None else hidden + heard
        hidden = upsample_by_time(self.conformer(hidden, valid), frames, fps, length)
        return self.postnet(hidden.transpose(1, 2)).transpose(1, 2)


class ContextFreeProbe(nn.Module):
    """A per-frame MLP from features at the mel rate (B, T, D_f) to a mel (B, T, bands).

    Without temporal context it cannot absorb a shift, so an offset found against its mel is anchored at true zero.
    """

    def __init__(self, features: int, bands: int, width: int = 256):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, bands))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
