"""Clips of a split put through a system: what it gives of each, beside what was recorded."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from slts.audio.mel import HOP
from slts.audio.upsampling import mel_lengths
from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.location import typed_data
from slts.systems.contract import OFFSETS, SPEECH


@dataclass
class GeneratedClip:
    key: str
    reference: np.ndarray
    """(N,) recorded audio, 16 kHz."""
    generated: np.ndarray | None
    """(N,) generated audio, in sync with the video; None where the system gives none."""
    offset_ms: float | None
    """True offset of the data, None where unknown."""
    dsm_offset_ms: float | None = None
    """The system's estimate of it, None where it makes none."""
    confidence: float | None = None
    at_edge: bool = False
    """The estimate lies at the limit of the search range."""


@torch.no_grad()
def generate_clips(task: torch.nn.Module, batches, device: torch.device) -> Iterator[GeneratedClip]:
    """One GeneratedClip for each clip of ``batches``, in their order."""
    for batch in batches:
        batch = batch.to(device)
        speech = task.generate(batch).float().cpu().numpy() if SPEECH in task.gives else None
        estimate = task.offsets(batch) if OFFSETS in task.gives else None
        samples = (mel_lengths(batch.frames, batch.fps) * HOP).tolist()
        for i, key in enumerate(batch.key):
            count = min(samples[i], batch.audio.shape[1])
            clip = GeneratedClip(
                key=key,
                reference=batch.audio[i, :count].cpu().numpy(),
                generated=None if speech is None else speech[i, :count],
                offset_ms=_known(batch.offset_ms[i]),
            )
            if estimate is not None:
                clip.dsm_offset_ms, clip.confidence = _known(estimate.ms[i]), float(estimate.confidence[i])
                clip.at_edge = bool(estimate.at_edge[i])
            yield clip


def validation_split(config, task: torch.nn.Module) -> ShardDataset:
    """Whole clips of the val split of the shards that a training reads."""
    picture = (config.model.image_size, config.model.channels)
    shards = {"disk_gb": config.disk_gb, "verify_shards": config.verify_shards, "sounds": task.takes}
    return ShardDataset(typed_data(config), "val", *picture, Augmentation(config.augment.crop), **shards)


def _known(value: torch.Tensor) -> float | None:
    return None if torch.isnan(value) else float(value)
