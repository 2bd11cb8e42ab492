"""Wav2Lip's visual quality discriminator: whether the lower half of a single frame is a photograph (section 3.4)."""

from torch import Tensor, nn

from slts.layers.lip_convolutions import PlainBlock

PUBLISHED = {"image_size": 96, "channels": 3, "width": 1.0}
"""Arguments of QualityDiscriminator for the published weights."""


class QualityDiscriminator(nn.Module):
    """14.1 M parameters as published; ``image_size``, ``channels`` and ``width`` as of the generator."""

    def __init__(self, image_size: int = 96, channels: int = 3, width: float = 1.0):
        super().__init__()
        a, b, c, d, e = (round(width * n) for n in (32, 64, 128, 256, 512))
        blocks = [
            [PlainBlock(channels, a, 7, 1, 3)],
            [PlainBlock(a, b, 5, (1, 2), 2), PlainBlock(b, b, 5, 1, 2)],
            [PlainBlock(b, c, 5, 2, 2), PlainBlock(c, c, 5, 1, 2)],
            [PlainBlock(c, d, 5, 2, 2), PlainBlock(d, d, 5, 1, 2)],
            [PlainBlock(d, e, 3, 2, 1), PlainBlock(e, e, 3, 1, 1)],
            [PlainBlock(e, e, 3, 2, 1), PlainBlock(e, e, 3, 1, 1)],
            [PlainBlock(e, e, 3, 1, 0), PlainBlock(e, e, 1, 1, 0)],
        ]
        if image_size < 96:
            del blocks[5]
        self.face_encoder_blocks = nn.ModuleList(nn.Sequential(*block) for block in blocks)
        self.binary_pred = nn.Sequential(nn.Conv2d(e, 1, 1), nn.Sigmoid())

    def forward(self, pictures: Tensor) -> Tensor:
        """Whole pictures (n, C, S, S) in 0..1: how likely each is a photograph, (n,) in 0..1."""
        hidden = pictures[..., pictures.shape[-2] // 2 :, :]
        for block in self.face_encoder_blocks:
            hidden = block(hidden)
        return self.binary_pred(hidden).flatten()
