"""SyncNet ready to use: from a run of task=syncnet, or from a file with the published weights."""

from pathlib import Path

import torch
from omegaconf import OmegaConf

from slts.errors import UserError
from slts.systems.syncnet.network import RATE
from slts.systems.syncnet.task import published
from slts.systems.trained import TrainedRun, load_run
from slts.training.run_directory import RunDirectory

CROP = {"faces": "cascade", "region": "syncnet", "size": 224, "track": True, "fps": RATE}
"""How pictures for the published weights are cut, in the keys of conf/prepare.yaml."""


def load_syncnet(path: str, checkpoint: str = "best") -> TrainedRun:
    """SyncNet from a run directory, or from a file with the published weights. Raises UserError for anything else."""
    if Path(path).is_dir():
        run = load_run(path, checkpoint)
        if run.config.task.name != "syncnet":
            raise UserError(f"{path} is a run of task={run.config.task.name}; give one of task=syncnet or its weights")
        return run
    task = published(path)
    config = OmegaConf.create(
        {
            "task": {"name": "syncnet"},
            "variant": "published",
            "model": {"image_size": 224, "channels": 3},
            "augment": {"crop": 1.0},
        }
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    corpus = {"speakers": [], "config": CROP}
    return TrainedRun(RunDirectory(Path(path)), config, corpus, task.to(device), 0, device)
