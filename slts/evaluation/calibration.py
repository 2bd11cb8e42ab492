"""The constant of a trained system's offsets, measured on its own training clips."""

from pathlib import Path

import torch
from rich.progress import track

from slts.data.loader import evaluation_loader
from slts.data.location import recorded_data
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.evaluation.runs import TrainedRun
from slts.metrics.calibration import Calibration, offset_constant

CLIPS = 300
"""Clips that the regression sees: some ten minutes of speech."""


@torch.no_grad()
def calibrate(run: TrainedRun, batch_size: int, given: Path | None = None) -> Calibration:
    """Regresses the recorded mel on what single frames show, around the offsets that the run finds; no label is used.

    ``given`` are shards that the user named; they stand for those of the training where they are the same corpus.

    Raises:
        UserError: the run has no offsets of its own to calibrate, its corpus is gone, or no lag stands out.
    """
    if getattr(run.task, "dsm", None) is None:
        raise UserError(f"calibrate=true needs a run of task=slts with DSM; run={run.directory.path} has none")
    features, mels, offsets = [], [], []
    loader = evaluation_loader(run.dataset(_trained_on(run, given), "train"), batch_size, CLIPS)
    for batch in track(loader, "calibrating"):
        batch = batch.to(run.device)
        picture, sound, lengths = run.task.single_frames(batch)
        offsets += run.task.offsets(batch).ms.tolist()
        for i, length in enumerate(lengths.tolist()):
            features.append(picture[i, :length].float().cpu().numpy())
            mels.append(sound[i, :length].float().cpu().numpy())
    try:
        found = offset_constant(features, mels, offsets)
    except ValueError as error:
        raise UserError(f"calibrate=true: {error}; use a corpus of longer clips") from None
    if found.at_edge:
        raise UserError(
            f"calibrate=true: the best lag is {found.constant_ms:+.0f} ms, the limit of the search: the run has not"
            " locked; train longer or use variant=anchored"
        )
    return found


def _trained_on(run: TrainedRun, given: Path | None) -> Path:
    if given and (given / "corpus.json").exists() and read_corpus_json(given)["hash"] == run.corpus["hash"]:
        return given
    return recorded_data(run.config.data, f"run={run.directory.path}")
