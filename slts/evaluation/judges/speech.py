"""The judge of generated speech: scores plain and aligned, words, lip sync, and the sounds themselves."""

from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object

from slts.data.batch import collate
from slts.data.dataset import ShardDataset
from slts.data.engine import engine_of
from slts.data.loader import evaluation_loader
from slts.data.media import write_sound
from slts.errors import UserError
from slts.evaluation.clips import GeneratedClip, generate_clips, validation_split
from slts.evaluation.distributed import score_with
from slts.evaluation.figures import mel_figure, offset_figure
from slts.evaluation.judges import Evaluation
from slts.evaluation.judges.lip_sync import LipSync
from slts.evaluation.judges.offsets import COLLAPSED, at_edge_note, offset_scalars
from slts.evaluation.judges.words import Words
from slts.evaluation.results import known_pairs, mean
from slts.metrics.alignment import overlap
from slts.metrics.columns import COLUMNS, SCORES
from slts.metrics.scoring import AT_EDGE, predicted_by, score_pairs
from slts.metrics.scoring import OFFSETS as LAGS
from slts.systems.contract import OFFSETS
from slts.training.loop import Validation
from slts.training.tracking import Media

SHOWN = 2
"""Clips that leave sounds and pictures in training."""
VALIDATED = tuple(name for name in SCORES if COLUMNS[name].validation)
"""Scores that are computed in training."""


class SpeechJudge:
    """See slts.evaluation.judges.Judge. Also of the parts that judge words and lip sync, where they were asked for."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation, self.said, config = evaluation, [], evaluation.config
        if config.sync == "dsm" and OFFSETS not in evaluation.run.task.gives:
            variant = evaluation.run.config.variant
            raise UserError(f"sync=dsm: run={config.run} has no DSM (variant {variant}); use sync=none")
        self.predicted = predicted_by(config.mos)
        self.parts = []
        if not evaluation.rank:  # recognisers and SyncNet are large, and the main process alone rates
            self.engine = engine_of(config)
            self.parts = [Words(evaluation), *([LipSync(evaluation)] if config.syncnet else [])]

    @staticmethod
    def validate(config, accelerator, task: torch.nn.Module, step: int) -> Validation:
        """The score is the mean a-STOI (section 5)."""
        dataset = validation_split(config, task)
        batches = evaluation_loader(
            dataset, config.batch_size, config.validate_clips, accelerator.process_index, accelerator.num_processes
        )
        clips = list(generate_clips(task, batches, accelerator.device))
        rows = score_pairs([(c.reference, c.generated) for c in clips], metrics=VALIDATED)
        table = gather_object([{**row, **_offsets(clip)} for row, clip in zip(rows, clips, strict=True)])
        if not accelerator.is_main_process:
            return Validation(None, {})
        scalars = {
            COLUMNS[name].validation: float(np.mean(values))
            for name in VALIDATED
            if (values := [row[name] for row in table if row[name] is not None])
        }
        found = [row for row in table if row["dsm_offset_ms"] is not None]
        known = [row for row in found if row["offset_ms"] is not None]
        truth, predicted = (np.array([row[name] for row in known]) for name in ("offset_ms", "dsm_offset_ms"))
        scalars |= offset_scalars(found, truth, predicted)
        warning = None
        if scalars.get("dsm_at_edge", 0) > COLLAPSED:
            warning = (
                f"{scalars['dsm_at_edge']:.0%} of the offsets lie at +-task.radius: DSM has collapsed, or has not "
                "learned yet; if it stays so, raise task.radius, shorten chunk_seconds or change the seed"
            )
        title = f"{config.name}, step {step}"

        def show(folder: Path) -> Media:
            media = show_clips(task, dataset, accelerator.device, clips[:SHOWN], title, folder)
            if len(known) > 1:
                media.pictures["offsets"] = folder / "offsets.png"
                offset_figure(truth, predicted, title, media.pictures["offsets"])
            media.histograms["dsm_offset_ms"] = [row["dsm_offset_ms"] for row in found]
            return media

        return Validation(scalars.get("a_stoi"), scalars, show, warning)

    def look(self) -> None:
        """What is generated is all."""

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | int | None]:
        config = self.evaluation.config
        moved = config.sync == "dsm"
        pairs = [overlap(c.reference, c.generated, (c.dsm_offset_ms or 0.0) if moved else 0.0) for c in clips]
        names = (*SCORES, *self.predicted)
        scored = score_with(self.engine, pairs, metrics=(*names, *LAGS, AT_EDGE))
        for row, scores in zip(rows, scored, strict=True):
            row |= scores
        figures = {name: mean([row[name] for row in rows]) for name in names}
        figures[AT_EDGE] = mean([row[AT_EDGE] for row in rows])
        if count := sum(bool(row[AT_EDGE]) for row in rows):
            self.said.append(at_edge_note(count, len(rows), "the frontend at +-300 ms"))
        figures["failed"] = sum(any(row[name] is None for name in names) for row in rows)
        # Against a moved reference the frontend does not measure o_f.
        lags, truth = known_pairs([] if moved else rows, "frontend_offset_ms", "offset_ms")
        figures["model_offset_ms"] = float(np.mean(lags - truth)) if len(lags) else None
        for part in self.parts:
            figures |= part.rate(clips, rows)
        return figures

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        run, shown = self.evaluation.run, clips[: self.evaluation.config.show]
        return show_clips(run.task, self.evaluation.dataset, run.device, shown, self.evaluation.title, folder)

    def remarks(self) -> list[str]:
        return self.said + [line for part in self.parts for line in part.remarks()]


def show_clips(
    task: torch.nn.Module,
    dataset: ShardDataset,
    device: torch.device,
    clips: list[GeneratedClip],
    title: str,
    folder: Path,
) -> Media:
    """Writes ``KEY.wav``, ``KEY-recorded.wav`` and ``KEY.png`` (Fig. 6) of clips."""
    places = {key: i for i, key in enumerate(dataset.keys)}
    media = Media()
    for clip in clips:
        for name, audio in ((clip.key, clip.generated), (f"{clip.key}-recorded", clip.reference)):
            media.sounds[name] = folder / f"{name}.wav"
            write_sound(media.sounds[name], audio)
        batch = collate([dataset[0, places[clip.key]]]).to(device)
        likely = task.offsets(batch).distribution if OFFSETS in task.gives else None
        media.pictures[clip.key] = folder / f"{clip.key}.png"
        mel_figure(
            {name: mel[0].cpu().numpy() for name, mel in task.mels(batch).items()},
            None if likely is None else likely[0].cpu().numpy(),
            f"{title}: {clip.key}" + ("" if clip.offset_ms is None else f", true offset {clip.offset_ms:+.0f} ms"),
            media.pictures[clip.key],
        )
    return media


def _offsets(clip: GeneratedClip) -> dict:
    return {name: getattr(clip, name) for name in ("key", "offset_ms", "dsm_offset_ms", "confidence", "at_edge")}
