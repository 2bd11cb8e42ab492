"""Validation of systems that measure offsets and generate nothing: known shifts, found or not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object

from slts.audio import SAMPLE_RATE
from slts.data.loader import Augmentation, Batch, ShardDataset, evaluation_loader
from slts.data.location import typed_data
from slts.evaluation.pictures import offset_figure
from slts.offsets.agreement import offset_agreement
from slts.training.loop import Validation
from slts.training.tracking import Media

LARGEST = 10
"""Video frames by which a clip is shifted at most, a quarter of it if that is less."""


def validate_offsets(config, accelerator, task: torch.nn.Module, step: int) -> Validation:
    """Shifts up to ``validate_clips`` clips of the val split by random whole frames, and looks for the shifts.

    The truth is the shift plus the clip's known offset; a clip without one counts as in sync. The score is the share
    found within one video frame. Complete on the main process, empty elsewhere.
    """
    picture = (config.model.image_size, config.model.channels)
    shards = {"disk_gb": config.disk_gb, "verify_shards": config.verify_shards}
    dataset = ShardDataset(typed_data(config), "val", *picture, Augmentation(config.augment.crop), **shards)
    ranks = accelerator.process_index, accelerator.num_processes
    rows = []
    for batch in evaluation_loader(dataset, config.batch_size, config.validate_clips, *ranks):
        rng = np.random.default_rng(list(batch.key[0].encode()))
        largest = min(LARGEST, int(batch.frames.min()) // 4)
        shifted = shift(batch, rng.integers(-largest, largest, len(batch.key), endpoint=True).tolist(), largest)
        found = task.offsets(shifted.to(accelerator.device))
        rows += zip(shifted.offset_ms.tolist(), found.ms.tolist(), (1000 / batch.fps).tolist(), strict=True)
    table = np.array(gather_object(rows))
    if not accelerator.is_main_process:
        return Validation(None, {})
    table = table[np.isfinite(table).all(1)]
    if not len(table):
        return Validation(None, {}, warning="no clip of the val split is long enough to tell an offset")
    truth, found, frame = table.T
    scalars = {f"offset_{name}": v for name, v in offset_agreement(truth, found).items() if v is not None}
    scalars["within_a_frame"] = float((np.abs(found - truth) <= frame + 1e-3).mean())

    def show(folder: Path) -> Media:
        offset_figure(truth, found, f"{config.name}, step {step}", folder / "offsets.png")
        return Media(pictures={"offsets": folder / "offsets.png"})

    return Validation(scalars["within_a_frame"], scalars, show)


def shift(batch: Batch, frames: list[int], largest: int) -> Batch:
    """The batch with the picture of each clip late by ``frames`` more (early where negative); nothing is padded.

    ``offset_ms`` becomes what the offset is then, an unknown one counting as 0. Every clip loses ``largest`` frames.
    """
    count = batch.video.shape[1] - largest
    samples = round(count / float(batch.fps[0]) * SAMPLE_RATE)
    video, audio = [], []
    for i, late in enumerate(frames):
        first = max(0, late) / float(batch.fps[i])
        video.append(batch.video[i, max(0, -late) : max(0, -late) + count])
        audio.append(batch.audio[i, round(first * SAMPLE_RATE) :][:samples])
    known = batch.offset_ms.nan_to_num(0.0) + 1000 * torch.tensor(frames) / batch.fps
    return replace(
        batch,
        video=torch.stack(video),
        recorded=torch.nn.utils.rnn.pad_sequence(audio, batch_first=True),
        frames=batch.frames - largest,
        offset_ms=known,
        valid=None if batch.valid is None else batch.valid[:, largest:],
    )
