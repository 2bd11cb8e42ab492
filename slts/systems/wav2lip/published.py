"""Wav2Lip ready to draw: from a run of task=wav2lip, or from a file with published weights of the generator."""

from pathlib import Path

import torch
from omegaconf import OmegaConf

from slts.systems.contract import PICTURES
from slts.systems.published_weights import load_published
from slts.systems.trained import TrainedRun, load_run_giving
from slts.systems.wav2lip.generator import PUBLISHED, Generator
from slts.systems.wav2lip.task import Wav2LipTask
from slts.training.run_directory import RunDirectory

CROP = {"faces": "cascade", "region": "face", "size": 96}
"""How faces for the published weights are cut, in the keys of conf/prepare.yaml; theirs are boxes of S3FD."""
TASK = {
    "expert": None, "sync": "none", "windows": 1, "sync_below": 0.75, "sync_from": 0,
    "loss": {"sync": 0.0, "quality": 0.0},
}  # fmt: skip


def load_drawing(path: str, command: str, checkpoint: str, mel_lead_ms: float) -> TrainedRun:
    """A system that draws pictures, from a run directory or a file with the generator's published weights.

    ``mel_lead_ms`` is of the published weights (conf/task/wav2lip.yaml), a run has its own. Raises UserError for
    anything else.
    """
    if Path(path).is_dir():
        return load_run_giving((PICTURES,), command, path, checkpoint)
    generator = Generator(**PUBLISHED)
    load_published(generator, path, "run")
    config = {"name": Path(path).name, "task": {"name": "wav2lip"}, "variant": "published",
              "model": {**PUBLISHED}, "augment": {"crop": 1.0}}  # fmt: skip
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = Wav2LipTask({**TASK, "mel_lead_ms": mel_lead_ms}, generator).to(device).eval()
    corpus = {"speakers": [], "config": CROP}
    return TrainedRun(RunDirectory(Path(path)), OmegaConf.create(config), corpus, task, 0, device)
