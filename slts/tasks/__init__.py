"""Systems: networks, losses and generation together, one module each.

A task is an ``nn.Module`` with

- ``forward(batch) -> (losses, report)``: weighted losses to be summed, and detached scalars to be logged;
- ``generate(batch) -> audio (B, N)``: 16 kHz speech in sync with the video, N = 160 x the longest clip's mel frames;
  absent where the system generates none, which is then validated by its offsets;
- ``offsets(batch) -> OffsetEstimate | None``: the audio-visual offset of the clips, where the system estimates one;
- ``mels(batch) -> dict of (B, T, 80)``: log-mels worth a picture, ``target`` and ``reconstruction`` at least, where it
  generates;
- ``fps``, the only frame rate that it takes, where there is one: ``slts generate`` brings videos to it;
- ``critic``, a module or None (or absent): discriminators. Their losses are among those of ``forward``, on detached
  audio or mels, and the loss against them goes through ``frozen(critic, ...)``: so one backward pass and one step serve
  both sides, and the trainer only gives the critic's parameters settings of their own (``optim.critic``).

Its module has ``build(config, corpus) -> task`` and ``check(config)``, which raises UserError for a combination of keys
that cannot work. ``corpus`` is the content of corpus.json.
"""

import importlib
import math
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class OffsetEstimate:
    """Offsets of a batch; positive where the video lags the audio."""

    ms: Tensor
    """(B,) most likely offset, milliseconds; NaN for a clip too short to tell."""
    confidence: Tensor
    """(B,) SLTS: probability within one mel frame of the most likely offset, 0..1. SyncNet: median less smallest
    distance, >= 0."""
    distribution: Tensor | None = None
    """(B, 2 K + 1) P(k), k = -K .. K mel frames of 10 ms; None where the system gives none."""
    distance: Tensor | None = None
    """(B,) distance of picture and sound at that offset, where the system measures one; its mean is LSE-D."""
    edge_ms: float = math.inf
    """From which on an offset, early or late, lies at the edge of the search: the true one may lie beyond."""

    @property
    def at_edge(self) -> Tensor:
        """(B,) bool."""
        return self.ms.abs() >= self.edge_ms


def check_task(config) -> None:
    """Refuses combinations of keys that the task cannot work with. Raises UserError."""
    importlib.import_module(f"slts.tasks.{config.task.name}").check(config)


def build_task(config, corpus: dict) -> nn.Module:
    """The task that a config names, with fresh weights."""
    return importlib.import_module(f"slts.tasks.{config.task.name}").build(config, corpus)


def generates(task: nn.Module) -> bool:
    """Whether the system generates speech, or measures offsets only."""
    return hasattr(task, "generate")
