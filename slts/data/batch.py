"""What a step sees: clips of one batch, padded to the longest."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass
class Batch:
    """Clips of one step, padded at the end to the longest."""

    video: Tensor
    """(B, T_v, C, H, W) uint8, RGB or grey; channels last in memory."""
    audio: Tensor
    """(B, N) float32 at 16 kHz."""
    frames: Tensor
    """(B,) valid video frames."""
    fps: Tensor
    """(B,) video frames a second."""
    speaker: Tensor
    """(B,) index into the corpus's speakers."""
    offset_ms: Tensor
    """(B,) true audio-visual offset, NaN where unknown."""
    key: list[str]
    valid: Tensor | None = None
    """(B, T_v) bool, False where a shorter clip was padded; None where no clip was."""

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Called by DataLoader; only from pinned memory does ``to`` copy to a GPU without waiting."""
        return self._each(Tensor.pin_memory)

    def _each(self, change) -> "Batch":
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: change(v) if isinstance(v, Tensor) else v for k, v in values.items()})


def collate(samples: list[dict]) -> Batch:
    """Pads pictures and audio at the end to the longest of the batch."""

    video = pad_sequence([s["video"].permute(0, 2, 3, 1) for s in samples], batch_first=True)
    frames = torch.tensor([len(s["video"]) for s in samples])
    valid = torch.arange(int(frames.max())) < frames[:, None]
    return Batch(
        video.permute(0, 1, 4, 2, 3),
        pad_sequence([s["audio"] for s in samples], batch_first=True),
        frames,
        torch.tensor([s["fps"] for s in samples]),
        torch.tensor([s["speaker"] for s in samples]),
        torch.tensor([s["offset_ms"] for s in samples]),
        [s["key"] for s in samples],
        None if bool(valid.all()) else valid,
    )
