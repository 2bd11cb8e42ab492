"""The judge of offsets: against what is known, against what was there before, and against other estimates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object

from slts.audio import SAMPLE_RATE
from slts.data.batch import Batch
from slts.data.loader import evaluation_loader
from slts.data.offset_table import read_offsets
from slts.errors import UserError
from slts.evaluation.clips import GeneratedClip, validation_split
from slts.evaluation.figures import offset_figure
from slts.evaluation.judges import Evaluation
from slts.evaluation.results import known_pairs, mean
from slts.offsets.agreement import offset_agreement
from slts.offsets.calibration import calibrate
from slts.systems.contract import SINGLE_FRAMES
from slts.training.loop import Validation
from slts.training.tracking import Media

LARGEST = 10
"""Video frames by which a clip is shifted at most in validation, a quarter of it if that is less."""
COLLAPSED = 0.5
"""Share of offsets at the edge of the search range from which on people are warned."""


class OffsetsJudge:
    """See slts.evaluation.judges.Judge."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation = evaluation
        self.natural, self.said = _natural_offsets(evaluation), []

    @staticmethod
    def validate(config, accelerator, task: torch.nn.Module, step: int) -> Validation:
        """Shifts clips by random whole frames, and looks for the shifts.

        The truth is the shift plus the clip's known offset; a clip without one counts as in sync. The score is the
        share found within one video frame.
        """
        dataset = validation_split(config, task)
        ranks = accelerator.process_index, accelerator.num_processes
        rows = []
        for batch in evaluation_loader(dataset, config.batch_size, config.validate_clips, *ranks):
            rng = np.random.default_rng(list(batch.key[0].encode()))
            largest = min(LARGEST, int(batch.frames.min()) // 4)
            shifted = shift(batch, rng.integers(-largest, largest, len(batch.key), endpoint=True).tolist(), largest)
            found = task.offsets(shifted.to(accelerator.device))
            columns = shifted.offset_ms, found.ms, 1000 / batch.fps, found.at_edge
            rows += zip(*(column.tolist() for column in columns), strict=True)
        table = np.array(gather_object(rows), float)
        if not accelerator.is_main_process:
            return Validation(None, {})
        table = table[np.isfinite(table).all(1)]
        if not len(table):
            return Validation(None, {}, warning="no clip of the val split is long enough to tell an offset")
        truth, found, frame, at_edge = table.T
        rows = [{"dsm_offset_ms": ms, "at_edge": edge} for ms, edge in zip(found, at_edge, strict=True)]
        scalars = offset_scalars(rows, truth, found, frame)

        def show(folder: Path) -> Media:
            offset_figure(truth, found, f"{config.name}, step {step}", folder / "offsets.png")
            return Media(pictures={"offsets": folder / "offsets.png"})

        return Validation(scalars["within_a_frame"], scalars, show)

    def look(self) -> None:
        """What is generated is all."""

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | int | None]:
        """``offset_*_whole`` are against the known offset plus what a clip had before that was injected, where that is
        known (``natural=``); ``offset_r2_syncnet`` is over the ``syncnet_clips`` clips of which SyncNet is sure."""
        config = self.evaluation.config
        for row in rows:
            row["natural_ms"] = self.natural.get(row["key"])
        if count := sum(row["at_edge"] for row in rows):
            self.said.append(at_edge_note(count, len(rows), "the system at the limit of its search"))
        found = [row for row in rows if row["dsm_offset_ms"] is not None]
        sure = [row for row in rows if (row.get("syncnet_confidence") or 0) > config.above_confidence]
        natural = [row | {"whole_ms": row["offset_ms"] + row["natural_ms"]} for row in found if _both_known(row)]
        truth = _agreement(found, "offset_ms")
        # Against a moved reference the frontend does not measure o_f.
        frontend = _agreement(found if config.sync == "none" else [], "frontend_offset_ms")
        figures = {f"offset_{name}": truth.get(name) for name in ("bias_ms", "mae_ms", "within_10ms")}
        figures |= {
            "offset_r2_truth": truth.get("r2"),
            "offset_r2_truth_centred": truth.get("r2_centred"),
            "offset_within_a_frame": self._within_a_frame(found),
            "offset_mean_ms": mean([row["dsm_offset_ms"] for row in found]),
            "offset_at_edge": mean([float(row["at_edge"]) for row in found]),
            "offset_r2_frontend": frontend.get("r2"),
            "offset_r2_syncnet": _agreement(sure, "syncnet_offset_ms").get("r2"),
            "syncnet_clips": len(sure) if any("lse_d" in row for row in rows) else None,
            "offset_calibration_ms": self._constant() if config.calibrate else None,
        }
        whole = _agreement(natural, "whole_ms")
        figures |= {f"offset_{name}_whole_ms": whole.get(f"{name}_ms") for name in ("bias", "mae")}
        return figures | {"offset_r2_whole": whole.get("r2"), "offset_r2_whole_centred": whole.get("r2_centred")}

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        known = [clip for clip in clips if clip.dsm_offset_ms is not None and clip.offset_ms is not None]
        if len(known) < 2:
            return Media()
        truth, found = (np.array([getattr(clip, name) for clip in known]) for name in ("offset_ms", "dsm_offset_ms"))
        offset_figure(truth, found, self.evaluation.title, folder / "offsets.png")
        return Media(pictures={"offsets": folder / "offsets.png"})

    def remarks(self) -> list[str]:
        return self.said

    def _within_a_frame(self, found: list[dict]) -> float | None:
        truth, dsm = known_pairs(found, "offset_ms", "dsm_offset_ms")
        frame = 1000 / min(self.evaluation.run.corpus.get("fps") or [25.0])
        return float((np.abs(dsm - truth) <= frame + 1e-3).mean()) if len(truth) else None

    def _constant(self) -> float | None:
        """The constant of the run's offsets in ms by calibration; None where it has not locked."""
        run = self.evaluation.run
        if SINGLE_FRAMES not in run.task.gives:
            return None
        try:
            return calibrate(run, self.evaluation.config.batch_size, self.evaluation.data).constant_ms
        except UserError as error:
            self.said.append(f"offset_calibration_ms null ({error})")
            return None


def at_edge_note(count: int, clips: int, of: str) -> str:
    return f"{count} of {clips} clips have an offset of {of}, whose true offset may lie beyond"


def offset_scalars(
    found: list[dict], truth: np.ndarray, predicted: np.ndarray, frame_ms: np.ndarray | float = 40.0
) -> dict[str, float]:
    """What validation logs of offsets: of those ``found`` (dsm_offset_ms, at_edge), and how the ``predicted`` agree
    with the ``truth`` (clips,), in ms, where that is known; a video frame lasts ``frame_ms``."""
    scalars = {}
    if found:
        scalars["dsm_offset_ms"] = float(np.mean([row["dsm_offset_ms"] for row in found]))
        scalars["dsm_at_edge"] = float(np.mean([row["at_edge"] for row in found]))
    if len(truth) > 1:
        agreement = offset_agreement(truth, predicted)
        scalars |= {f"offset_{name}": value for name, value in agreement.items() if value is not None}
    if len(truth):
        scalars["within_a_frame"] = float((np.abs(predicted - truth) <= frame_ms + 1e-3).mean())
    return scalars


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


def _natural_offsets(evaluation: Evaluation) -> dict[str, float]:
    """What ``natural=`` holds of the clips. Raises UserError where that is nothing."""
    file = evaluation.config.natural
    if file is None:
        return {}
    try:
        natural = read_offsets(Path(file))
    except (OSError, ValueError) as error:
        raise UserError(f"natural={file}: {error}; give a CSV of slts offsets") from None
    if natural.keys().isdisjoint(evaluation.dataset.keys):
        split = evaluation.config.split
        raise UserError(f"natural={file}: none of its clips is in the {split} split of {evaluation.data}")
    return natural


def _both_known(row: dict) -> bool:
    return row["natural_ms"] is not None and row["offset_ms"] is not None


def _agreement(rows: list[dict], reference: str) -> dict[str, float | None]:
    truth, found = known_pairs(rows, reference, "dsm_offset_ms")
    return offset_agreement(truth, found) if len(truth) > 1 else {}
