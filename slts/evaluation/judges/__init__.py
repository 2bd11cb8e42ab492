"""Who judges a system: one judge for each thing that it gives.

A judge validates in training, makes the figures of ``slts evaluate`` and leaves sounds, pictures or videos. What it
measures has a column in slts.metrics.columns. ``slts train`` asks the judge of the first thing that a system gives,
``slts evaluate`` the judges of all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader

from slts.data.dataset import ShardDataset
from slts.data.loader import shared_batches
from slts.evaluation.clips import GeneratedClip
from slts.systems.contract import OFFSETS, PICTURES, SPEECH
from slts.systems.trained import TrainedRun
from slts.training.loop import Validation
from slts.training.tracking import Media


@dataclass(frozen=True)
class Evaluation:
    """What ``slts evaluate`` was asked for: ``config`` is that of the command, ``rank`` of ``ranks`` this process."""

    config: object
    run: TrainedRun
    data: Path
    dataset: ShardDataset
    rank: int = 0
    ranks: int = 1

    def batches(self, dataset: ShardDataset) -> DataLoader:
        """This process's share of a split, which another system may see in its own way (``dataset``)."""
        return shared_batches(dataset, self.config.batch_size, self.rank, self.ranks)

    def gathered(self, found: list) -> list:
        """What all processes have found, theirs one after another."""
        return gather_object(found) if self.ranks > 1 else found

    @property
    def title(self) -> str:
        return f"{self.run.config.name} on {self.config.split}"


class Judge(Protocol):
    """Made before a clip is read, so that what it cannot work with is refused at once. Raises UserError."""

    def __init__(self, evaluation: Evaluation): ...

    @staticmethod
    def validate(config, accelerator, task: nn.Module, step: int) -> Validation:
        """Judges up to ``validate_clips`` clips of the val split, shared among the ranks, in training.

        Complete on the main process, empty elsewhere.
        """
        ...

    def look(self) -> None:
        """What is to be made of this process's share of the split, before ``rate`` has the clips of all processes."""
        ...

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | int | None]:
        """Figures by column, on the main process; what is known of each clip goes into its row."""
        ...

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        """Writes sounds, pictures or videos into ``folder``."""
        ...

    def remarks(self) -> list[str]:
        """Why figures are missing, and what is to be said beside them; a line each."""
        ...


def judges_of(task: nn.Module) -> list[type[Judge]]:
    """The judges of what a system gives, the one that scores its training first."""
    from slts.evaluation.judges.offsets import OffsetsJudge
    from slts.evaluation.judges.pictures import PicturesJudge
    from slts.evaluation.judges.speech import SpeechJudge

    judges = {SPEECH: SpeechJudge, PICTURES: PicturesJudge, OFFSETS: OffsetsJudge}
    return [judge for word, judge in judges.items() if word in task.gives]


def validate(config, accelerator, task: nn.Module, step: int) -> Validation:
    """What training asks for every ``validate_every`` steps."""
    return judges_of(task)[0].validate(config, accelerator, task, step)
