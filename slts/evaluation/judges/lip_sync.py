"""Lip sync of generated speech by SyncNet: LSE-D, LSE-C, and its offsets of the recorded sound."""

from dataclasses import replace

import numpy as np
import torch

from slts.data.loader import evaluation_loader
from slts.evaluation.clips import GeneratedClip
from slts.evaluation.judges import Evaluation
from slts.evaluation.results import SYNCNET, mean
from slts.systems.syncnet.published import load_syncnet


class LipSync:
    """The part of the judge of speech that listens with ``syncnet=`` of ``slts evaluate``."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation, self.syncnet = evaluation, load_syncnet(evaluation.config.syncnet)

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | None]:
        """LSE-D and LSE-C are means over all clips."""
        for row, found in zip(rows, self.judge(clips), strict=True):
            row |= found
        return {name: mean([row[name] for row in rows]) for name in ("lse_d", "lse_c")}

    def remarks(self) -> list[str]:
        return []

    def judge(self, clips: list[GeneratedClip]) -> list[dict]:
        """What SyncNet says of each clip of the split, in its order.

        Returns:
            syncnet_offset_ms and syncnet_confidence of the recorded sound, lse_d and lse_c (smallest distance and
            confidence) of the generated one; None for clips shorter than SyncNet's window.
        """
        run, config = self.syncnet, self.evaluation.config
        dataset = run.dataset(self.evaluation.data, config.split, any_speaker=True)
        rows, left = [], iter(clips)
        for batch in evaluation_loader(dataset, config.batch_size):
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
