"""SyncNet beside other systems: from a run or the published weights, its offsets of recorded and generated sound."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from slts.data.loader import evaluation_loader
from slts.errors import UserError
from slts.evaluation.clips import GeneratedClip
from slts.evaluation.results import SYNCNET
from slts.systems.syncnet import task as syncnet
from slts.systems.syncnet.network import RATE
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
    task = syncnet.published(path)
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


def judge_clips(run: TrainedRun, data: Path, split: str, clips: list[GeneratedClip], batch_size: int) -> list[dict]:
    """What SyncNet says of each clip of a split: the offset of the recorded sound, and how well the generated one fits.

    Args:
        clips: all of the split, in its order.

    Returns:
        syncnet_offset_ms and syncnet_confidence of the recorded sound, lse_d and lse_c (smallest distance and
        confidence) of the generated one; None for clips shorter than SyncNet's window.
    """
    rows, left = [], iter(clips)
    for batch in evaluation_loader(run.dataset(data, split, any_speaker=True), batch_size):
        audio = torch.zeros_like(batch.audio)
        for i, (key, clip) in enumerate(zip(batch.key, left, strict=False)):
            if key != clip.key:
                raise ValueError(f"clips are not in the order of the split: {clip.key} where {key} belongs")
            audio[i, : len(clip.generated)] = torch.from_numpy(np.asarray(clip.generated))[: audio.shape[1]]
        recorded = run.task.offsets(batch.to(run.device))
        generated = run.task.offsets(replace(batch, recorded=audio).to(run.device))
        columns = recorded.ms, recorded.confidence, generated.distance, generated.confidence
        rows += [
            {name: None if np.isnan(value) else value for name, value in zip(SYNCNET, values, strict=True)}
            for values in zip(*(column.tolist() for column in columns), strict=True)
        ]
    return rows
