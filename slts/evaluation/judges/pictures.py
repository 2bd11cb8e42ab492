"""The judge of generated pictures. No system of slts gives any yet; what it will measure are columns of its name."""

from pathlib import Path

from torch import nn

from slts.evaluation.clips import GeneratedClip
from slts.evaluation.judges import Evaluation
from slts.training.loop import Validation
from slts.training.tracking import Media


class PicturesJudge:
    def __init__(self, evaluation: Evaluation):
        pass

    @staticmethod
    def validate(config, accelerator, task: nn.Module, step: int) -> Validation:
        return Validation(None, {}, warning=f"task={config.task.name} gives pictures, which nobody judges yet")

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | None]:
        return {}

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        return Media()

    def remarks(self) -> list[str]:
        return []
