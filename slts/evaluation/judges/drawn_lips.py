"""Lip sync of drawn pictures by SyncNet: LSE-D, LSE-C and the offset of the output, beside what is recorded.

LSE takes the best shift and so cannot see a constant offset of what is drawn: ``drawn_offset_ms`` shows it. The rows of
the recorded pictures, with their own sound and with another clip's, say what the figures of the drawn ones mean.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from slts.data.augmentation import Augmentation, augment, fit_picture
from slts.data.batch import Batch
from slts.data.loader import evaluation_loader
from slts.evaluation.judges import Evaluation
from slts.systems.contract import OffsetEstimate
from slts.systems.syncnet.published import load_syncnet

OF_DRAWN = ("lse_d", "lse_c", "drawn_offset_ms")
OF_RECORDED = ("lse_d_recorded", "lse_c_recorded", "syncnet_offset_ms")
OF_MISMATCHED = ("lse_d_mismatched", "lse_c_mismatched")


class DrawnLips:
    """The part of the judge of pictures that looks with ``syncnet=`` of ``slts evaluate``."""

    FIGURES = (*OF_DRAWN, *OF_RECORDED[:2], *OF_MISMATCHED)

    def __init__(self, evaluation: Evaluation):
        self.evaluation, self.syncnet = evaluation, load_syncnet(evaluation.config.syncnet)

    def batches(self) -> Iterator[Batch]:
        """The clips of the split as SyncNet takes them, in the batches in which they are drawn."""
        dataset = self.syncnet.dataset(self.evaluation.data, self.evaluation.config.split, any_speaker=True)
        yield from evaluation_loader(dataset, self.evaluation.config.batch_size)

    def judge(self, recorded: Batch, drawn: Tensor) -> dict[str, dict[str, float | None]]:
        """What SyncNet says of each clip by its key; None for clips shorter than its window.

        Args:
            recorded: a batch of ``batches``.
            drawn: (B, T_v, C, H, W) uint8, the pictures drawn for these clips.
        """
        run = self.syncnet
        recorded = recorded.to(run.device)
        found = {
            OF_DRAWN: run.task.offsets(replace(recorded, video=self._fitted(drawn))),
            OF_RECORDED: run.task.offsets(recorded),
        }
        # The next clip's sound; of a single clip, its own from the middle on.
        audio, half = recorded.audio, recorded.audio.shape[1] // 2
        other = audio.roll(1, 0) if len(audio) > 1 else audio.roll(half, 1)
        found[OF_MISMATCHED] = run.task.offsets(replace(recorded, recorded=other))
        rows: dict[str, dict[str, float | None]] = {key: {} for key in recorded.key}
        for names, estimate in found.items():
            for name, values in zip(names, _listed(estimate), strict=False):
                for key, value in zip(recorded.key, values, strict=True):
                    rows[key][name] = None if np.isnan(value) else value
        return rows

    def _fitted(self, drawn: Tensor) -> Tensor:
        """Drawn pictures (B, T, C, H, W) as SyncNet takes them."""
        model, crop = self.syncnet.config.model, self.syncnet.config.augment.crop
        share = min(1.0, crop / self.evaluation.run.config.augment.crop)
        clips = drawn.permute(0, 1, 3, 4, 2).cpu().numpy()
        if clips.shape[-1] == 3:
            fitted = [torch.from_numpy(fit_picture(clip, model.image_size, model.channels, share)) for clip in clips]
        else:
            change = Augmentation(share)
            grey = (augment(clip, 0.0, model.image_size, change, None) for clip in clips)
            fitted = [picture.expand(-1, model.channels, -1, -1) for picture in grey]
        return torch.stack(fitted).to(self.syncnet.device)


def _listed(estimate: OffsetEstimate) -> tuple[list[float], ...]:
    return estimate.distance.tolist(), estimate.confidence.tolist(), estimate.ms.tolist()
