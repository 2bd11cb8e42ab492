"""Lip sync of drawn pictures by SyncNet and by the shipped estimator of offsets, beside what is recorded.

LSE takes the best shift and so cannot see a constant offset of what is drawn: ``drawn_offset_ms`` (SyncNet, in steps of
a frame) and ``drawn_offset_estimated_ms`` (the estimator, trained on other people and other networks) show it. The
controls say what the figures of the drawn pictures mean: the recorded ones with their own sound, with the sound that
the lips are to say, with another clip's, and the recorded first picture standing still.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slts.data.batch import Batch
from slts.evaluation.judges import Evaluation
from slts.offsets.shipped import load_shipped
from slts.systems.contract import OffsetEstimate
from slts.systems.syncnet.published import load_syncnet
from slts.systems.trained import TrainedRun


class DrawnLips:
    """A system of offsets that looks at drawn pictures, and at controls beside them."""

    CONTROLS = ("recorded", "unsynced", "mismatched", "still")
    """Those that are looked at; ``unsynced`` only where there is something to be unsynced."""

    def __init__(self, evaluation: Evaluation, system: TrainedRun):
        self.evaluation, self.system = evaluation, system

    def batches(self) -> Iterator[Batch]:
        """The clips of the split as the system takes them, in the batches in which they are drawn."""
        dataset = self.system.dataset(self.evaluation.data, self.evaluation.config.split, any_speaker=True)
        yield from self.evaluation.batches(dataset)

    def look(self, recorded: Batch, drawn: Tensor, said: Tensor, own: bool) -> dict[str, OffsetEstimate]:
        """The estimate of the drawn pictures and of each control, by name.

        Args:
            recorded: a batch of ``batches``.
            drawn: (B, T_v, C, H, W) uint8, the pictures drawn for these clips.
            said: (B, N) what they are to say; ``own`` where that is what was recorded, and nothing is unsynced.
        """
        recorded, said = recorded.to(self.system.device), said.to(self.system.device)
        # The next clip's sound; of a single clip, its own from the middle on.
        audio, half = recorded.audio, recorded.audio.shape[1] // 2
        other = audio.roll(1, 0) if len(audio) > 1 else audio.roll(half, 1)
        shown = {
            "drawn": replace(recorded, video=self._pasted(recorded.video, drawn), recorded=said),
            "recorded": recorded,
            "mismatched": replace(recorded, recorded=other),
            "still": replace(recorded, video=recorded.video[:, :1].expand_as(recorded.video).contiguous()),
        }
        if not own:
            shown["unsynced"] = replace(recorded, recorded=said)
        wanted = ("drawn", *self.CONTROLS)
        return {name: self.system.task.offsets(batch) for name, batch in shown.items() if name in wanted}

    def _pasted(self, recorded: Tensor, drawn: Tensor) -> Tensor:
        """The recorded pictures (B, T, C, S, S) as the system sees them, with the drawn ones in their place."""
        share = self.evaluation.run.config.augment.crop / self.system.config.augment.crop
        side, channels = recorded.shape[-1], recorded.shape[2]
        inner = round(side * share)
        faces = drawn.to(recorded.device).flatten(0, 1).float()
        if channels == 1 and faces.shape[1] == 3:  # grey is the luma of H.264 in shards
            weights = torch.tensor([0.299, 0.587, 0.114], device=faces.device)[:, None, None]
            faces = (faces * weights).sum(1, keepdim=True) * (219 / 255) + 16
        faces = functional.interpolate(faces, (inner, inner), mode="bilinear", antialias=True)
        faces = (
            faces.round().clamp(0, 255).to(torch.uint8).unflatten(0, drawn.shape[:2]).expand(-1, -1, channels, -1, -1)
        )
        if inner >= side:
            cut = (inner - side) // 2
            return faces[..., cut : cut + side, cut : cut + side].contiguous()
        pasted, edge = recorded.clone(), (side - inner) // 2
        pasted[..., edge : edge + inner, edge : edge + inner] = faces
        return pasted


class LipSyncError(DrawnLips):
    """LSE-D, LSE-C and offsets by ``syncnet=`` of ``slts evaluate``; None for clips shorter than its window."""

    FIGURES = (
        "lse_d", "lse_c", "drawn_offset_ms", *(f"lse_{kind}_{name}" for name in DrawnLips.CONTROLS for kind in "dc")
    )  # fmt: skip

    def __init__(self, evaluation: Evaluation):
        super().__init__(evaluation, load_syncnet(evaluation.config.syncnet))

    def judge(self, recorded: Batch, drawn: Tensor, said: Tensor, own: bool) -> dict[str, dict[str, float | None]]:
        """Figures of each clip by its key."""
        rows: dict[str, dict[str, float | None]] = {key: {} for key in recorded.key}
        for name, estimate in self.look(recorded, drawn, said, own).items():
            end = "" if name == "drawn" else f"_{name}"
            _into(rows, f"lse_d{end}", estimate.distance)
            _into(rows, f"lse_c{end}", estimate.confidence)
            if name == "drawn":
                _into(rows, "drawn_offset_ms", estimate.ms)
            elif name == "recorded":
                _into(rows, "syncnet_offset_ms", estimate.ms)
        return rows


class EstimatedOffset(DrawnLips):
    """The offset of drawn and recorded pictures by the shipped estimator, of the clips of which it is sure, and the
    share of those; also with another clip's sound, where it must not be sure."""

    CONTROLS = ("recorded", "mismatched")
    FIGURES = (
        "drawn_offset_estimated_ms", "recorded_offset_estimated_ms", "drawn_offset_sure", "recorded_offset_sure",
        "mismatched_offset_sure",
    )  # fmt: skip

    def __init__(self, evaluation: Evaluation):
        super().__init__(evaluation, load_shipped())

    def judge(self, recorded: Batch, drawn: Tensor, said: Tensor, own: bool) -> dict[str, dict[str, float | None]]:
        rows: dict[str, dict[str, float | None]] = {key: {} for key in recorded.key}
        for name, estimate in self.look(recorded, drawn, said, own).items():
            sure = estimate.sure(self.system.task.sure_above)
            _into(rows, f"{name}_offset_sure", sure.float().masked_fill(estimate.ms.isnan(), float("nan")))
            if name != "mismatched":
                _into(rows, f"{name}_offset_estimated_ms", estimate.ms.masked_fill(~sure, float("nan")))
        return rows


def _into(rows: dict[str, dict[str, float | None]], name: str, values: Tensor) -> None:
    for row, value in zip(rows.values(), values.tolist(), strict=True):
        row[name] = None if np.isnan(value) else value
