"""Wav2Lip ready to draw: from a run of task=wav2lip, or from a file with published weights of the generator."""

from pathlib import Path

from slts.systems.contract import PICTURES
from slts.systems.published_weights import load_published
from slts.systems.trained import TrainedRun, chosen_device, load_run_giving, run_of_file
from slts.systems.wav2lip.generator import PUBLISHED, Generator
from slts.systems.wav2lip.task import Wav2LipTask

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
    task = Wav2LipTask({**TASK, "mel_lead_ms": mel_lead_ms}, generator).to(chosen_device()).eval()
    origin = load_drawing, path, command, checkpoint, mel_lead_ms
    return run_of_file(path, task, "wav2lip", "published", {**PUBLISHED}, CROP, origin)
