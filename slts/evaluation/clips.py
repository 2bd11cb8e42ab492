"""Clips of a split put through a task: generated audio beside the recorded, and the offsets found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from slts.audio.mel import HOP
from slts.models.upsampling import mel_lengths


@dataclass
class GeneratedClip:
    key: str
    reference: np.ndarray
    """(N,) recorded audio, 16 kHz."""
    generated: np.ndarray
    """(N,) generated audio, in sync with the video."""
    offset_ms: float | None
    """True offset of the data, None where unknown."""
    dsm_offset_ms: float | None = None
    """The task's estimate of it, None where the task makes none."""
    confidence: float | None = None
    at_edge: bool = False
    """The estimate lies at the limit of the search range."""


@torch.no_grad()
def generate_clips(task: torch.nn.Module, batches, device: torch.device) -> Iterator[GeneratedClip]:
    """One GeneratedClip for each clip of ``batches``, in their order."""
    for batch in batches:
        batch = batch.to(device)
        audio = task.generate(batch).float().cpu().numpy()
        estimate = task.offsets(batch)
        samples = (mel_lengths(batch.frames, batch.fps) * HOP).tolist()
        for i, key in enumerate(batch.key):
            count = min(samples[i], batch.audio.shape[1])
            clip = GeneratedClip(
                key, batch.audio[i, :count].cpu().numpy(), audio[i, :count], _known(batch.offset_ms[i])
            )
            if estimate is not None:
                clip.dsm_offset_ms, clip.confidence = float(estimate.ms[i]), float(estimate.confidence[i])
                clip.at_edge = bool(estimate.at_edge[i])
            yield clip


def _known(value: torch.Tensor) -> float | None:
    return None if torch.isnan(value) else float(value)
