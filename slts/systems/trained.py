"""Trained runs, ready to use."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError

from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.files import sha256
from slts.systems import build_task, check_task, need
from slts.systems.frame_rate import refuse_rate
from slts.training.checkpoint import check_weights, find_checkpoint, load_weights
from slts.training.run_directory import RunDirectory, config_hash
from slts.training.state import load_state

PICTURE = ("model.image_size", "model.channels", "augment.crop")
"""What of a config shapes the pictures that a run sees."""


@dataclass
class TrainedRun:
    """A run with its weights. Another process that gets one loads it anew, once, from where it came."""

    directory: RunDirectory
    config: DictConfig
    corpus: dict
    task: torch.nn.Module
    step: int
    device: torch.device
    checkpoint: Path | None = None
    """Where the weights came from; None for weights of no run."""
    origin: tuple[Callable, *tuple[object, ...]] | None = None
    """The function that loaded it and its arguments; None where no other process can."""

    def __reduce__(self):
        if self.origin is None:
            raise TypeError(f"run={self.directory.path} was made in this process, and no other can load it")
        return _loaded, (self.weights_sha256, *self.origin)

    @cached_property
    def weights_sha256(self) -> str:
        """Of model.safetensors, or of the file whose weights belong to no run."""
        return sha256(self.checkpoint / "model.safetensors" if self.checkpoint else self.directory.path)

    def provenance(self) -> dict:
        """What identifies the run in what was made with it: ``weights`` is the SHA-256 of its model.safetensors."""
        return {
            "run": self.config.name,
            "task": self.config.task.name,
            "variant": self.config.variant,
            "step": self.step,
            "config_hash": config_hash(self.config),
            "weights": self.weights_sha256,
        }

    def dataset(self, data: Path, split: str, any_speaker: bool = False, any_maker: bool = False) -> ShardDataset:
        """Whole clips of a split, cropped as in training. ``any_speaker`` admits speakers the run never saw.

        Further sounds that another run made than those of the training are left out, and the system makes them itself;
        ``any_maker`` takes them all the same.

        Raises:
            UserError: clips of another frame rate than the system's, or no such shards.
        """
        corpus = read_corpus_json(data)
        refuse_rate(self.config.task.name, self.task.fps, corpus.get("fps", ()))
        picture = (self.config.model.image_size, self.config.model.channels)
        speakers = None if any_speaker else self.corpus["speakers"]
        crop = Augmentation(self.config.augment.crop)
        sounds = self.task.takes if any_maker or _maker(corpus) == _maker(self.corpus) else ()
        return ShardDataset(data, split, *picture, crop, speakers=speakers, sounds=sounds)


@cache
def _loaded(weights: str, load: Callable[..., TrainedRun], *arguments) -> TrainedRun:
    """A run of another process, of which ``weights`` is the SHA-256. Raises UserError where it is not here."""
    run = load(*arguments)
    if run.weights_sha256 != weights:
        raise UserError(
            f"{run.directory.path}: its weights are not those of the process that gave the command; every node must"
            " share that folder, and no training may go on in it"
        )
    return run


def _maker(corpus: dict) -> str | None:
    """The SHA-256 of the weights that spoke a corpus."""
    return corpus.get("synthesised", {}).get("weights")


def load_run(path: str | Path, checkpoint: str = "best") -> TrainedRun:
    """A run's task with the weights of its ``best`` (or ``last``) checkpoint, in evaluation mode, on the GPU if there
    is one. Raises UserError when the folder holds no run, no checkpoint yet, or the run of another version of slts."""
    directory = RunDirectory(Path(path))
    config = directory.config()
    weights = find_checkpoint(directory.path, checkpoint)
    if weights is None:
        raise UserError(f"run={path} has no checkpoint yet; let slts train reach its first validation")
    corpus = directory.corpus()
    missing = next((key for key in PICTURE if OmegaConf.select(config, key) is None), None)
    try:
        if missing is None:
            check_task(config)
            with torch.device("meta"):  # whatever size config.yaml claims, memory is taken once the weights have it
                check_weights(weights, build_task(config, corpus))
            task = build_task(config, corpus)
    except ConfigAttributeError as error:
        missing = error.full_key
    if missing is not None:
        raise UserError(
            f"run={path}: its config.yaml has no {missing}, so another version of slts made it; use that version, or"
            " train it again"
        )
    load_weights(weights, task)
    where = chosen_device()
    origin = load_run, str(path), checkpoint
    return TrainedRun(
        directory, config, corpus, task.to(where).eval(), load_state(weights).step, where, weights, origin
    )


def run_of_file(
    file: str | Path,
    task: torch.nn.Module,
    name: str,
    variant: str,
    model: dict,
    crop: dict,
    origin: tuple[Callable, *tuple[object, ...]] | None = None,
) -> TrainedRun:
    """A system whose weights belong to no run, as a run that any command takes.

    Args:
        file: what its weights came from.
        task: the system, in evaluation mode, on the device where it is to work.
        name: of the system, as in conf/task.
        variant: as its results are to say.
        model: ``image_size`` and ``channels`` of the pictures that it sees, in the keys of conf/model.
        crop: how these are cut, in the keys of conf/prepare.yaml.
        origin: as in TrainedRun.
    """
    given = {"name": Path(file).name, "task": {"name": name}, "variant": variant, "model": model}
    config = OmegaConf.create({**given, "augment": {"crop": 1.0}})
    device = next(task.parameters()).device
    corpus = {"speakers": [], "config": crop}
    return TrainedRun(RunDirectory(Path(file)), config, corpus, task, 0, device, origin=origin)


def chosen_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_run_giving(wanted: tuple[str, ...], command: str, path: str | Path, checkpoint: str = "best") -> TrainedRun:
    """``load_run`` of a system that gives what ``command`` needs: one of the ``wanted`` words of slts.systems.contract.
    Raises UserError for one that does not."""
    run = load_run(path, checkpoint)
    need(run.task, wanted, f"run={path} (task {run.config.task.name}, variant {run.config.variant})", command)
    return run


def load_frozen(path: str | Path, checkpoint: str = "best") -> TrainedRun:
    """``load_run`` as a part of another system: its weights are never trained, and stay in evaluation mode."""
    run = load_run(path, checkpoint)
    run.task.requires_grad_(False)
    run.task.train = lambda mode=True: run.task
    return run
