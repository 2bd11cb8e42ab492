"""Wav2Lip's generator: a U-Net from the upper half of a face, a reference and 0.2 s of sound to the whole face.

Prajwal et al. (arXiv 2008.10010), section 3.3. Each frame is drawn by itself.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from slts.layers.lip_convolutions import ConvBlock, UpBlock, residuals, sound_encoder

PUBLISHED = {"image_size": 96, "channels": 3, "width": 1.0}
"""Arguments of Generator for the published weights."""
ENCODER = ((16, 0), (32, 2), (64, 3), (128, 2), (256, 2), (512, 1))
"""Channels and residual blocks of the stages that see 96, 48, ... 3 pixels; the first stage of a network has none of
these, and a last one sees a single pixel."""
DECODER = ((64, 2), (128, 2), (256, 2), (384, 2), (512, 2), (512, 1))
"""Channels and residual blocks of the stages that draw 96, 48, ... 3 pixels."""


class Generator(nn.Module):
    """Face encoder, sound encoder, and a decoder that is joined with the face encoder's stages: 36.3 M parameters.

    Args:
        image_size: 96 (published) or 48, for which the stages of 96 pixels are left out.
        channels: of the pictures, 3 in the order BGR (published) or 1 for grey.
        width: of all layers as a share of the published one.
    """

    def __init__(self, image_size: int = 96, channels: int = 3, width: float = 1.0):
        super().__init__()
        self.image_size, self.channels, self.width = image_size, channels, width
        left_out = (96 // image_size).bit_length() - 1
        seen = [(round(width * n), count) for n, count in ENCODER[left_out:]]
        drawn = [(round(width * n), count) for n, count in DECODER[left_out:]]
        flat = round(width * 512)
        encoder = [nn.Sequential(ConvBlock(2 * channels, seen[0][0], 7, 1, 3))]
        for (inputs, _), (outputs, count) in pairwise(seen):
            encoder.append(nn.Sequential(ConvBlock(inputs, outputs, 3, 2, 1), *residuals(outputs, count)))
        encoder.append(nn.Sequential(ConvBlock(flat, flat, 3, 1, 0), ConvBlock(flat, flat, 1, 1, 0)))
        self.face_encoder_blocks = nn.ModuleList(encoder)
        self.audio_encoder = sound_encoder(width, 1)
        decoder = [nn.Sequential(ConvBlock(flat, flat, 1, 1, 0))]
        inputs = 2 * flat
        for stage, (outputs, count) in reversed([*enumerate(drawn)]):
            smallest = stage == len(drawn) - 1
            up = UpBlock(inputs, outputs, 3, 1, 0) if smallest else UpBlock(inputs, outputs, 3, 2, 1, 1)
            decoder.append(nn.Sequential(up, *residuals(outputs, count)))
            inputs = outputs + seen[stage][0]
        self.face_decoder_blocks = nn.ModuleList(decoder)
        last = round(width * 32)
        self.output_block = nn.Sequential(ConvBlock(inputs, last, 3, 1, 1), nn.Conv2d(last, channels, 1), nn.Sigmoid())

    def forward(self, masked: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Faces (n, C, S, S) in 0..1.

        Args:
            masked: the faces to be drawn, 0..1, their lower halves 0: (n, C, S, S).
            reference: the same person at other times: (n, C, S, S) in 0..1.
            mel: windows of the sound (n, 80, 16).
        """
        stages, hidden = [], torch.cat([masked, reference], 1)
        for block in self.face_encoder_blocks:
            hidden = block(hidden)
            stages.append(hidden)
        hidden = self.audio_encoder(mel[:, None])
        for block in self.face_decoder_blocks:
            hidden = torch.cat([block(hidden), stages.pop()], 1)
        return self.output_block(hidden)
