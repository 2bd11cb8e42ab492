"""The judge of drawn pictures: how near the mouths are to those recorded, lip sync by SyncNet, and videos.

What is drawn has the lips of the recorded sound, so the recorded pictures are its truth. The lower halves are compared:
the upper ones were given.
"""

from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from rich.progress import track
from torch import nn

from slts.data.batch import Batch, collate
from slts.data.dataset import ShardDataset
from slts.data.loader import evaluation_loader
from slts.evaluation.clips import GeneratedClip, validation_split
from slts.evaluation.films import write_film, write_strip
from slts.evaluation.judges import Evaluation
from slts.evaluation.judges.drawn_lips import DrawnLips
from slts.evaluation.results import mean
from slts.metrics.picture_quality import l1, psnr, ssim
from slts.training.loop import Validation
from slts.training.tracking import Media

SHOWN = 2
"""Clips that leave videos and pictures in training."""
FIGURES = {"mouth_l1": l1, "mouth_psnr": psnr, "mouth_ssim": ssim}


class PicturesJudge:
    """See slts.evaluation.judges.Judge. Also of lip sync, where ``syncnet=`` was given."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation = evaluation
        self.lips = DrawnLips(evaluation) if evaluation.config.syncnet else None

    @staticmethod
    def validate(config, accelerator, task: nn.Module, step: int) -> Validation:
        """The score is the mean PSNR of the mouths."""
        dataset = validation_split(config, task)
        ranks = accelerator.process_index, accelerator.num_processes
        rows = []
        for batch in evaluation_loader(dataset, config.batch_size, config.validate_clips, *ranks):
            batch = batch.to(accelerator.device)
            rows += [{"key": key, **found} for key, found in mouths(batch, task.draw(batch)).items()]
        table = gather_object(rows)
        if not accelerator.is_main_process:
            return Validation(None, {})
        scalars = {name: mean([row[name] for row in table]) for name in FIGURES}
        keys = [row["key"] for row in rows[:SHOWN]]

        def show(folder: Path) -> Media:
            return show_drawn(task, dataset, accelerator.device, keys, folder)

        return Validation(scalars["mouth_psnr"], scalars, show)

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | None]:
        """Figures are means over clips; ``drawn_offset_ms`` over those long enough for SyncNet."""
        evaluation, run = self.evaluation, self.evaluation.run
        row_of = {row["key"]: row for row in rows}
        lips = iter(self.lips.batches()) if self.lips else None
        for batch in track(evaluation_loader(evaluation.dataset, evaluation.config.batch_size), "drawing"):
            batch = batch.to(run.device)
            drawn = run.task.draw(batch)
            for key, found in mouths(batch, drawn).items():
                row_of[key] |= found
            if lips:
                for key, found in self.lips.judge(next(lips), drawn).items():
                    row_of[key] |= found
        names = (*FIGURES, *(self.lips.FIGURES if self.lips else ()))
        return {name: mean([row[name] for row in rows]) for name in names}

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        run, keys = self.evaluation.run, [clip.key for clip in clips[: self.evaluation.config.show]]
        return show_drawn(run.task, self.evaluation.dataset, run.device, keys, folder)

    def remarks(self) -> list[str]:
        return [] if self.lips else ["lse_d, lse_c and drawn_offset_ms null (syncnet=RUN or FILE gives them)"]


def mouths(batch: Batch, drawn: torch.Tensor) -> dict[str, dict[str, float]]:
    """The FIGURES of each clip by its key; ``drawn`` are the pictures (B, T_v, C, H, W) uint8 of the batch."""
    lower = batch.video.shape[-2] // 2
    truth, found = (pictures[..., lower:, :].cpu().numpy() for pictures in (batch.video, drawn))
    return {
        key: {name: figure(truth[i, :frames], found[i, :frames]) for name, figure in FIGURES.items()}
        for i, (key, frames) in enumerate(zip(batch.key, batch.frames.tolist(), strict=True))
    }


@torch.no_grad()
def show_drawn(task: nn.Module, dataset: ShardDataset, device: torch.device, keys: list[str], folder: Path) -> Media:
    """Writes ``KEY.mp4``, recorded beside drawn with the sound, and ``KEY.png``, recorded above drawn, of clips."""
    places = {key: i for i, key in enumerate(dataset.keys)}
    media = Media()
    for key in keys:
        batch = collate([dataset[0, places[key]]]).to(device)
        recorded, drawn = (pictures[0].cpu().numpy() for pictures in (batch.video, task.draw(batch)))
        media.pictures[key], media.videos[key] = folder / f"{key}.png", folder / f"{key}.mp4"
        write_strip(media.pictures[key], [recorded, drawn])
        audio = np.ascontiguousarray(batch.audio[0].cpu().numpy())
        write_film(media.videos[key], [recorded, drawn], float(batch.fps[0]), audio)
    return media
