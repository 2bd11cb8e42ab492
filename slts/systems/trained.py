"""Trained runs, ready to use."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError

from slts.data.loader import Augmentation, ShardDataset
from slts.errors import UserError
from slts.systems import build_task, generates
from slts.training.checkpoint import find_checkpoint, load_state, load_weights
from slts.training.run_directory import RunDirectory


@dataclass
class TrainedRun:
    directory: RunDirectory
    config: DictConfig
    corpus: dict
    task: torch.nn.Module
    step: int
    device: torch.device

    def dataset(self, data: Path, split: str, any_speaker: bool = False) -> ShardDataset:
        """Whole clips of a split, cropped as in training. ``any_speaker`` admits speakers the run never saw."""
        picture = (self.config.model.image_size, self.config.model.channels)
        speakers = None if any_speaker else self.corpus["speakers"]
        return ShardDataset(data, split, *picture, Augmentation(self.config.augment.crop), speakers=speakers)


def load_run(path: str | Path, checkpoint: str = "best") -> TrainedRun:
    """A run's task with the weights of its ``best`` (or ``last``) checkpoint, in evaluation mode, on the GPU if there
    is one. Raises UserError when the folder holds no run, no checkpoint yet, or the run of another version of slts."""
    directory = RunDirectory(Path(path))
    config = directory.config()
    weights = find_checkpoint(directory.path, checkpoint)
    if weights is None:
        raise UserError(f"run={path} has no checkpoint yet; let slts train reach its first validation")
    corpus = directory.corpus()
    try:
        task = build_task(config, corpus)
    except ConfigAttributeError as error:
        raise UserError(
            f"run={path}: its config.yaml has no {error.full_key}, so another version of slts made it; use that"
            " version, or train it again"
        ) from None
    load_weights(weights, task)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TrainedRun(directory, config, corpus, task.to(device).eval(), load_state(weights).step, device)


def load_speaking_run(path: str | Path, checkpoint: str = "best") -> TrainedRun:
    """``load_run`` of a system that generates speech. Raises UserError for one that only measures offsets."""
    run = load_run(path, checkpoint)
    if not generates(run.task):
        raise UserError(
            f"run={path}: task={run.config.task.name} generates no speech; it measures offsets, with slts offsets"
            f" run={path}"
        )
    return run
