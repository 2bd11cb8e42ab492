"""From frame features to mels: the paper's decoder, and a context-free probe."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.audio.upsampling import upsample_by_time
from slts.layers.conformer import Conformer


class PostNet(nn.Sequential):
    """Upsampling by time, three Conv1D k5 - BN - GELU and a last Conv1D k5."""

    fps = None

    def __init__(self, inputs: int, width: int, bands: int):
        layers: list[nn.Module] = []
        for depth in range(3):
            layers += [
                nn.Conv1d(inputs if depth == 0 else width, width, 5, padding=2),
                nn.BatchNorm1d(width),
                nn.GELU(),
            ]
        super().__init__(*layers, nn.Conv1d(width, bands, 5, padding=2))

    def forward(self, hidden: Tensor, frames: Tensor, fps: Tensor, length: int) -> Tensor:
        """Hidden frames (B, T_v, inputs), valid ``frames`` (B,) of them, at ``fps`` (B,), to (B, length, bands)."""
        upsampled = upsample_by_time(hidden, frames, fps, length)
        return super().forward(upsampled.transpose(1, 2)).transpose(1, 2)


class FourFrames(nn.Linear):
    """SVTS's last layer: the four mel frames of each video frame at 25 fps."""

    fps = 25.0

    def __init__(self, inputs: int, bands: int):
        super().__init__(inputs, 4 * bands)

    def forward(self, hidden: Tensor, frames: Tensor, fps: Tensor, length: int) -> Tensor:
        """As PostNet's; the mean mel where ``length`` is beyond the last frame."""
        mel = super().forward(hidden).unflatten(-1, (4, -1)).flatten(1, 2)[:, :length]
        return functional.pad(mel, (0, 0, 0, length - mel.shape[1]))


class MelDecoder(nn.Module):
    """Speaker embedding, conformer at the video rate, then upsampling by time and post-net (section 3.2) or four mel
    frames of each video frame at once.

    Args:
        features: D_f of the frame encoder.
        speakers: number of speakers.
        speaker_width: width of the learned speaker embedding.
        width, layers, heads, kernel, dropout: of the conformer.
        postnet_width: channels of the post-net; 0 for FourFrames in place of upsampling and post-net.
        bands: mel bands.
        hidden: width inside the conformer's feed-forward layers; None is 4 width.
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
        hidden: int | None = None,
    ):
        super().__init__()
        self.speaker = nn.Embedding(speakers, speaker_width)
        self.project = nn.Linear(features + speaker_width, width)
        self.conformer = Conformer(width, layers, heads, kernel, dropout, hidden)
        self.postnet = PostNet(width, postnet_width, bands) if postnet_width else FourFrames(width, bands)

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
        return self.postnet(self.conformer(hidden, valid), frames, fps, length)


class ContextFreeProbe(nn.Module):
    """A per-frame MLP from features at the mel rate (B, T, D_f) to a mel (B, T, bands).

    Without temporal context it cannot absorb a shift, so an offset found against its mel is anchored at true zero.
    """

    def __init__(self, features: int, bands: int, width: int = 256):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, bands))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
