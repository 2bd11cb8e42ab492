"""What a system is: the one promise between networks on one side and training, judging and applying on the other.

A system is a package ``slts.systems.NAME`` with a module ``task`` (``conf/task/NAME.yaml`` has ``name: NAME``), or a
module that another package names by the entry point ``slts.systems``. The module is a ``SystemModule``; what its
``build`` returns is an ``nn.Module`` and a ``System``, and has the methods of every protocol below whose word stands in
its ``gives``. Shapes: B clips, T_v video frames, N samples at 16 kHz, T_m mel frames of 10 ms, bands of the mel 80.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from slts.data.batch import Batch

SPEECH, PICTURES, OFFSETS, SINGLE_FRAMES = "speech", "pictures", "offsets", "single_frames"
MODALITIES = "choice_of_modalities"
"""The words of ``gives``."""
REACH = 1.5
"""Seconds before and after a picture."""


@dataclass
class OffsetEstimate:
    """Offsets of a batch; positive where the video lags the audio."""

    ms: Tensor
    """(B,) most likely offset, milliseconds; NaN for a clip too short to tell."""
    confidence: Tensor
    """(B,) SLTS: probability within one mel frame of the most likely offset, 0..1. SyncNet: median less smallest
    distance, >= 0."""
    reach_ms: float
    """An estimate at -reach_ms or reach_ms lies at the limit of the search."""
    distribution: Tensor | None = None
    """(B, 2 K + 1) P(k), k = -K .. K mel frames of 10 ms; None where the system gives none."""
    distance: Tensor | None = None
    """(B,) distance of picture and sound at that offset, where the system measures one; its mean is LSE-D."""

    @property
    def at_edge(self) -> Tensor:
        """(B,) bool."""
        return self.ms.abs() >= self.reach_ms

    def sure(self, above: float | None) -> Tensor:
        """(B,) bool: with a confidence above ``above``, and not at the limit of the search; none without ``above``."""
        return (self.confidence > (float("inf") if above is None else above)) & ~self.at_edge


class System(Protocol):
    """What training needs. Losses are weighted and are summed; the report holds detached scalars to be logged."""

    takes: ClassVar[tuple[str, ...]]
    """Names of further sounds of a clip that it takes (``Batch.sound``), besides picture and recorded sound."""
    gives: tuple[str, ...]
    fps: float | None
    """The only frame rate that it takes, to which videos are brought; None where it takes any."""
    critic: nn.Module | None
    """Discriminators. Their losses are among those of ``forward``, on detached audio or mels, and the loss against them
    goes through ``slts.layers.discriminators.frozen``: one backward pass and one step serve both sides, and the trainer
    only gives the critic's parameters settings of their own (``optim.critic``)."""

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and report of a step."""
        ...


class GivesSpeech(System, Protocol):
    """``speech``"""

    def generate(self, batch: Batch) -> Tensor:
        """(B, N) in -1..1, in sync with the video, N = 160 x the longest clip's mel frames; needs no recorded sound."""
        ...

    def mels(self, batch: Batch) -> dict[str, Tensor]:
        """Log-mels (B, T_m, 80) worth a picture: ``target`` and ``reconstruction`` at least."""
        ...


class GivesPictures(System, Protocol):
    """``pictures``"""

    def draw(self, batch: Batch) -> Tensor:
        """(B, T_v, C, H, W) uint8, the pictures of the batch with the lips of its recorded sound."""
        ...

    def draw_at(self, pictures: Tensor, seconds: Tensor, audio: Tensor, references: Tensor) -> Tensor:
        """Single pictures of one person, in any order, with the lips of a sound.

        Args:
            pictures: (n, C, H, W) uint8.
            seconds: (n,) when each is shown, counted from the sound's first sample.
            audio: (1, N) at 16 kHz; what is heard within REACH of a picture may shape its lips, nothing beyond.
            references: (r, C, H, W) uint8, the person at other times, one of which is shown for all.

        Returns:
            (n, C, H, W) uint8.
        """
        ...


class GivesOffsets(System, Protocol):
    """``offsets``"""

    offset_step_ms: ClassVar[float]
    """Distance of the offsets that it tells apart."""
    sure_above: float | None
    """Confidence above which at most one in fifty wrong sounds comes, on people held out; None where that was not
    measured, so that no offset of a single clip is sure."""

    def offsets(self, batch: Batch) -> OffsetEstimate:
        """Of the recorded sound of each clip."""
        ...


class GivesSingleFrames(GivesOffsets, Protocol):
    """``single_frames``: what calibration without labels asks of a system with offsets."""

    def single_frames(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What single frames show (B, T_m, D), the mel heard at the same instants (B, T_m, 80), valid frames (B,)."""
        ...


class GivesChoiceOfModalities(GivesSpeech, Protocol):
    """``choice_of_modalities``: speech from picture and sound together, or from either alone."""

    modalities: str
    """av, a or v: what ``generate`` and ``mels`` take; may be set."""


@runtime_checkable
class SystemModule(Protocol):
    """What stands in ``slts/systems/NAME/task.py``.

    Which variants and experiments a system accepts is what its keys say: one that sets a key that
    ``conf/task/NAME.yaml`` does not document is refused.
    """

    def check(self, config) -> None:
        """Refuses combinations of keys that cannot work. Raises UserError."""
        ...

    def gives(self, config) -> tuple[str, ...]:
        """``System.gives`` of what ``build`` would make."""
        ...

    def build(self, config, corpus: dict) -> nn.Module:
        """The system with fresh weights; ``corpus`` is the content of corpus.json."""
        ...


class BuildsOnARun(SystemModule, Protocol):
    """A system that begins with the weights of another run, a part of its own from then on: the other is not read
    again."""

    def begin(self, task: nn.Module, config, corpus: dict) -> None:
        """Gives what ``build`` made those weights. Raises UserError for a run that does not fit."""
        ...
