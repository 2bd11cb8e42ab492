"""What a step sees: clips of one batch, padded to the longest."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slts.errors import UserError


@dataclass(kw_only=True)
class Batch:
    """Clips of one step, padded at the end to the longest. Built by name, changed by ``dataclasses.replace``."""

    video: Tensor
    """(B, T_v, C, H, W) uint8, RGB or grey; channels last in memory."""
    frames: Tensor
    """(B,) valid video frames."""
    fps: Tensor
    """(B,) video frames a second."""
    speaker: Tensor
    """(B,) index into the corpus's speakers."""
    offset_ms: Tensor
    """(B,) true audio-visual offset, NaN where unknown."""
    key: list[str]
    recorded: Tensor | None = None
    """(B, N) float32 at 16 kHz, the clips' own sound; None for silent video. Systems read ``audio``."""
    sounds: dict[str, Tensor] = field(default_factory=dict)
    """Further sounds by name, (B, N) float32 at 16 kHz, of the same instants. Systems read ``sound(name)``."""
    valid: Tensor | None = None
    """(B, T_v) bool, False where a shorter clip was padded; None where no clip was."""

    @property
    def audio(self) -> Tensor:
        """(B, N) float32 at 16 kHz, the clips' own sound. Raises UserError where there is none."""
        if self.recorded is None:
            raise UserError(
                f"{self.key[0] or 'the video'} has no sound, and this needs the recorded sound of the clips"
            )
        return self.recorded

    def sound(self, name: str) -> Tensor:
        """(B, N) float32 at 16 kHz, the further sound of that name. Raises UserError where there is none."""
        if name not in self.sounds:
            raise UserError(
                f"{self.key[0] or 'the video'} has no sound '{name}' (KEY.{name}.flac), which the system takes"
            )
        return self.sounds[name]

    def clip(self, index: int) -> "Batch":
        """The batch of one of its clips, as padded as it was."""
        one = slice(index, index + 1)
        return replace(self._each(lambda tensor: tensor[one]), key=self.key[one])

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Called by DataLoader; only from pinned memory does ``to`` copy to a GPU without waiting."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors, sounds={name: change(sound) for name, sound in self.sounds.items()})


def collate(samples: list[dict]) -> Batch:
    """Pads pictures and sounds at the end to the longest of the batch."""
    video = pad_sequence([s["video"].permute(0, 2, 3, 1) for s in samples], batch_first=True)
    frames = torch.tensor([len(s["video"]) for s in samples])
    valid = torch.arange(int(frames.max())) < frames[:, None]
    return Batch(
        video=video.permute(0, 1, 4, 2, 3),
        recorded=pad_sequence([s["audio"] for s in samples], batch_first=True),
        sounds={name: pad_sequence([s["sounds"][name] for s in samples], True) for name in samples[0]["sounds"]},
        frames=frames,
        fps=torch.tensor([s["fps"] for s in samples]),
        speaker=torch.tensor([s["speaker"] for s in samples]),
        offset_ms=torch.tensor([s["offset_ms"] for s in samples]),
        key=[s["key"] for s in samples],
        valid=None if bool(valid.all()) else valid,
    )
