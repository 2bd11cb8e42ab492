"""From the features of frames to a waveform."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class WaveDecoder(nn.Module):
    """Speaker embedding, two bidirectional GRU layers, transposed convolutions to 640 samples a frame.

    Args:
        features: D of the front.
        speakers: number of speakers.
        speaker_width: width of the learned speaker embedding.
        width: of the GRU's input and of its output, half of which is each direction's.
        widths: channels of the transposed convolutions.
        strides: theirs, 640 all together; kernels are twice as long.
    """

    def __init__(
        self, features: int, speakers: int, speaker_width: int, width: int, widths: list[int], strides: list[int]
    ):
        super().__init__()
        self.speaker = nn.Embedding(speakers, speaker_width)
        self.project = nn.Linear(features + speaker_width, width)
        self.gru = nn.GRU(width, width // 2, num_layers=2, batch_first=True, bidirectional=True)
        self.strides = strides
        self.layers = nn.ModuleList(
            nn.Sequential(
                # In and out of s times the length, odd strides too.
                nn.ConvTranspose1d(inputs, outputs, 2 * s, s, padding=(s + 1) // 2, output_padding=s % 2),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
            )
            for inputs, outputs, s in zip((width, *widths), widths, strides, strict=False)
        )
        self.last = nn.Conv1d(widths[-1], 1, 7, padding=3)

    def forward(
        self, features: Tensor, speaker: Tensor, frames: Tensor, valid: Tensor | None, heard: Tensor | None = None
    ) -> Tensor:
        """features (B, T, D), speaker ids (B,), valid frames (B,) and where they are (B, T), None for everywhere, to
        audio (B, 640 T) in (-1, 1), silent after each clip's end. ``heard`` (B, T, width) joins what the GRU gets."""
        embedding = self.speaker(speaker)[:, None].expand(-1, features.shape[1], -1)
        hidden = self.project(torch.cat([features, embedding.to(features.dtype)], -1))
        hidden = hidden if heard is None else hidden + heard
        x = self.context(hidden, frames, valid).transpose(1, 2)
        inside = None if valid is None else valid[:, None].to(x.dtype)
        for layer, stride in zip(self.layers, self.strides, strict=True):
            x = layer(x)
            if inside is not None:  # so that a clip sounds as when it is alone
                inside = inside.repeat_interleave(stride, -1)
                x = x * inside
        audio = self.last(x).float().tanh()
        return (audio if inside is None else audio * inside)[:, 0]

    def context(self, hidden: Tensor, frames: Tensor, valid: Tensor | None) -> Tensor:
        """The GRU's output (B, T, width); neither direction sees what pads a shorter clip."""
        if valid is None:
            return self.gru(hidden)[0]
        packed = pack_padded_sequence(hidden, frames.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=hidden.shape[1])[0]
