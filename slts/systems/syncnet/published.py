"""SyncNet ready to use: from a run of task=syncnet, or from a file with the published weights."""

from pathlib import Path

from slts.errors import UserError
from slts.systems.syncnet.network import RATE
from slts.systems.syncnet.task import published
from slts.systems.trained import TrainedRun, chosen_device, load_run, run_of_file

CROP = {"faces": "cascade", "region": "syncnet", "size": 224, "track": True, "fps": RATE}
"""How pictures for the published weights are cut, in the keys of conf/prepare.yaml."""


def load_syncnet(path: str, checkpoint: str = "best") -> TrainedRun:
    """SyncNet from a run directory, or from a file with the published weights. Raises UserError for anything else."""
    if Path(path).is_dir():
        run = load_run(path, checkpoint)
        if run.config.task.name != "syncnet":
            raise UserError(f"{path} is a run of task={run.config.task.name}; give one of task=syncnet or its weights")
        return run
    model = {"image_size": 224, "channels": 3}
    return run_of_file(
        path, published(path).to(chosen_device()), "syncnet", "published", model, CROP, (load_syncnet, path)
    )
