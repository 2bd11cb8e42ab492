"""The expert: SyncNet in Wav2Lip's form, which compares by the cosine (Prajwal et al., arXiv 2008.10010, section 3.2).

It sees the lower halves of a few frames and hears 16 mel frames, 0.2 s, around them, or a longer window of both.
"""

from torch import Tensor, nn
from torch.nn import functional

from slts.audio.lipsync_mel import RATE as MEL_RATE
from slts.layers.lip_convolutions import MEL_FRAMES, MEL_FRAMES_LONG, ConvBlock, residuals, sound_encoder

RATE = 25
"""Video frames a second."""
HEARD = {1: MEL_FRAMES, 3: MEL_FRAMES, 5: MEL_FRAMES, 16: MEL_FRAMES_LONG}
"""Mel frames that go with a window of so many pictures, T_v."""
PUBLISHED = {"image_size": 96, "channels": 3, "width": 1.0, "frames": 5}
"""Arguments of LipSyncExpert for the published weights."""


class LipSyncExpert(nn.Module):
    """Lip encoder and sound encoder: 16.4 M parameters as published.

    Args:
        image_size: side of the whole pictures, 96 (published) or 48, for which a stage that halves is left out.
        channels: of the pictures, 3 in the order BGR (published) or 1 for grey.
        width: of all layers as a share of the published one.
        frames: T_v, pictures of a window: published 5; its sound is 0.2 s around their middle, with 16 pictures 0.65 s.
    """

    def __init__(self, image_size: int = 96, channels: int = 3, width: float = 1.0, frames: int = 5):
        super().__init__()
        self.image_size, self.channels, self.frames = image_size, channels, frames
        a, b, c, d, e = (round(width * n) for n in (32, 64, 128, 256, 512))
        last = [ConvBlock(e, e, 3, 2, 1)] if image_size == 96 else []
        self.face_encoder = nn.Sequential(
            ConvBlock(frames * channels, a, 7, 1, 3),
            ConvBlock(a, b, 5, (1, 2), 1),
            *residuals(b, 2),
            ConvBlock(b, c, 3, 2, 1),
            *residuals(c, 3),
            ConvBlock(c, d, 3, 2, 1),
            *residuals(d, 2),
            ConvBlock(d, e, 3, 2, 1),
            *residuals(e, 2),
            *last,
            ConvBlock(e, e, 3, 1, 0),
            ConvBlock(e, e, 1, 1, 0),
        )
        self.audio_encoder = sound_encoder(width, 2, HEARD[frames])

    def forward(self, pictures: Tensor, mel: Tensor) -> Tensor:
        """Cosine (n,) in 0..1 of windows of pictures and sound, see ``embed_lips`` and ``embed_sound``."""
        return functional.cosine_similarity(self.embed_lips(pictures).float(), self.embed_sound(mel).float())

    def embed_lips(self, pictures: Tensor) -> Tensor:
        """Windows of whole pictures (n, T_v, C, S, S) in 0..1, BGR or grey: unit vectors (n, E), none negative."""
        lower = pictures[..., pictures.shape[-2] // 2 :, :].flatten(1, 2)
        return functional.normalize(self.face_encoder(lower).flatten(1), dim=1)

    def embed_sound(self, mel: Tensor) -> Tensor:
        """Windows of the mel (n, 80, HEARD[T_v]): unit vectors (n, E), none negative."""
        return functional.normalize(self.audio_encoder(mel[:, None]).flatten(1), dim=1)


def cosine_loss(cosine: Tensor, in_sync: Tensor | float) -> Tensor:
    """Binary cross-entropy (n,) of the cosine taken for the probability that picture and sound belong together.

    cosine: (n,) in 0..1. in_sync: (n,) of 0 and 1, or one of them for all.
    """
    likely = cosine.float().clamp(1e-6, 1 - 1e-6)
    return -(in_sync * likely.log() + (1 - in_sync) * (1 - likely).log())


def window_start(first: Tensor, frames: int) -> Tensor:
    """Seconds from the first picture's time at which the sound of a window begins, so that their middles coincide.

    first: the windows' first frames, at 25 a second. frames: T_v. With five, picture and sound begin together.
    """
    return (first - (heard_pictures(frames) - frames) / 2) / RATE


def heard_pictures(frames: int) -> float:
    """For how many pictures the sound of a window of ``frames`` lasts."""
    return HEARD[frames] * RATE / MEL_RATE
