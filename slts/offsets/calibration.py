"""The constant of a system's offsets, found without labels.

Offsets learned from data are defined up to the system's own constant o_m: a model that speaks late by o_m and finds
offsets too small by o_m explains the data as well. What a single video frame shows cannot be late. Regressing the mel
on single-frame features over a range of lags around the found offsets therefore tells the constant: it is the lag at
which the regression explains most.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from slts.audio.mel import MEL_RATE
from slts.data.loader import evaluation_loader
from slts.data.location import recorded_data
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.offsets.peak import peak
from slts.systems import need
from slts.systems.contract import SINGLE_FRAMES
from slts.systems.trained import TrainedRun

CLIPS = 300
"""Clips that the regression sees: some ten minutes of speech."""


@dataclass
class Calibration:
    constant_ms: float
    """What to subtract from the system's offsets."""
    lags_ms: np.ndarray
    explained: np.ndarray
    """Share of the mel's variance that the regression explains at each lag, <= 1."""
    at_edge: bool
    """The best lag is the first or the last: search further."""


@torch.no_grad()
def calibrate(run: TrainedRun, batch_size: int, given: Path | None = None) -> Calibration:
    """Regresses the recorded mel on what single frames show, around the offsets that the run finds; no label is used.

    ``given`` are shards that the user named; they stand for those of the training where they are the same corpus.

    Raises:
        UserError: the run has no offsets of its own to calibrate, its corpus is gone, or no lag stands out.
    """
    need(run.task, (SINGLE_FRAMES,), f"run={run.directory.path} (variant {run.config.variant})", "calibrate=true")
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


def offset_constant(
    features: list[np.ndarray], mels: list[np.ndarray], offsets_ms: np.ndarray, reach: int = 25, ridge: float = 1e-3
) -> Calibration:
    """Ridge regression of the mel on single-frame features at lags of -reach .. reach mel frames.

    Args:
        features: of each clip (T, D), one row a mel frame of 10 ms, from the picture at that instant alone.
        mels: of each clip (T, bands), of its recorded audio.
        offsets_ms: (clips,) the system's offsets, positive where the video lags the audio.
        reach: largest lag searched, mel frames.
        ridge: penalty as a share of the features' mean variance.

    Raises:
        ValueError: no clip is longer than its offset and twice the reach.
    """
    shifts = np.rint(np.asarray(offsets_ms) * MEL_RATE / 1000).astype(int)
    lags = np.arange(-reach, reach + 1)
    x, y = [], []
    for feature, mel, shift in zip(features, mels, shifts, strict=True):
        # Frame i of the picture goes with frame i - offset of the sound; all lags see the same frames of the picture.
        first, last = max(0, shift + reach), min(len(feature), len(mel) + shift - reach)
        if last > first:
            x.append(feature[first:last])
            y.append(np.lib.stride_tricks.sliding_window_view(mel, last - first, axis=0)[first - shift + lags])
    if not x:
        raise ValueError(f"no clip is long enough for lags of +-{1000 * reach / MEL_RATE:.0f} ms around its offset")
    picture = np.concatenate(x).astype(float)
    sound = np.concatenate(y, axis=-1).astype(float)  # (lags, bands, frames)
    picture -= picture.mean(0)
    sound -= sound.mean(-1, keepdims=True)

    gram = picture.T @ picture
    gram[np.diag_indices_from(gram)] += ridge * np.trace(gram) / len(gram)
    cross = sound @ picture
    weights = np.linalg.solve(gram, cross.transpose(0, 2, 1))
    explained = (cross.transpose(0, 2, 1) * weights).sum((1, 2)) / np.square(sound).sum((1, 2))
    best = int(explained.argmax())
    at_edge = best in (0, len(lags) - 1)
    return Calibration(10.0 * (lags[best] + peak(explained, best)), 10.0 * lags, explained, at_edge)
