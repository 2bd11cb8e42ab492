"""The judge of drawn pictures: how near the mouths are to those recorded, lip sync, FID, and videos.

With ``protocol=own`` what is drawn has the lips of the recorded sound, so that the recorded pictures are its truth. The
lower halves are compared: the upper ones were given. With another protocol the lips say something else, and there is no
truth to compare them with.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from rich.progress import track
from torch import nn

from slts.data.batch import Batch, collate
from slts.data.dataset import ShardDataset
from slts.data.loader import evaluation_loader
from slts.data.shards import read_corpus_json
from slts.evaluation.clips import GeneratedClip, validation_split
from slts.evaluation.films import write_film, write_strip
from slts.evaluation.judges import Evaluation
from slts.evaluation.judges.drawn_lips import EstimatedOffset, LipSyncError
from slts.evaluation.judges.inception import Inception
from slts.evaluation.protocols import Said
from slts.evaluation.results import mean
from slts.metrics.mouth_opening import motion_agreement
from slts.metrics.picture_quality import l1, psnr, ssim
from slts.offsets.shipped import CROP
from slts.training.evaluation_name import evaluation_name
from slts.training.loop import Validation
from slts.training.tracking import Media

SHOWN = 2
"""Clips that leave videos and pictures in training."""
LOWER = {"mouth_l1": l1, "mouth_psnr": psnr, "mouth_ssim": ssim}
"""Of lower halves."""
FIGURES = (*LOWER, "mouth_motion_r", "mouth_motion_share")


class PicturesJudge:
    """See slts.evaluation.judges.Judge. The offset of what is drawn is measured where faces were cut as the shipped
    estimator wants them, LSE where ``syncnet=`` was given, FID where ``inception=`` was."""

    def __init__(self, evaluation: Evaluation):
        config = evaluation.config
        self.evaluation = evaluation
        self.faces = read_corpus_json(evaluation.data)["config"].get("region") == CROP["region"]
        self.said = Said(config.protocol, evaluation.data, config.split, evaluation.dataset, config.seed)
        self.lips = [EstimatedOffset(evaluation)] if self.faces else []
        self.lips += [LipSyncError(evaluation)] if config.syncnet else []
        self.inception = Inception(config.inception, evaluation.run.device) if config.inception else None
        self.found: dict[str, dict[str, float | None]] = {}

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
        means = {name: mean([row[name] for row in table]) for name in FIGURES}
        scalars = {name: value for name, value in means.items() if value is not None}
        keys = [row["key"] for row in rows[:SHOWN]]

        def show(folder: Path) -> Media:
            return show_drawn(task, dataset, accelerator.device, keys, folder)

        return Validation(scalars["mouth_psnr"], scalars, show)

    def look(self) -> None:
        evaluation, run = self.evaluation, self.evaluation.run
        looks = [looker.batches() for looker in self.lips]
        found = defaultdict(dict)
        for batch in track(evaluation.batches(evaluation.dataset), "drawing", disable=bool(evaluation.rank)):
            said = self.said.of(batch)
            batch = replace(batch, recorded=said).to(run.device)
            drawn = run.task.draw(batch)
            tables = [mouths(batch, drawn)] if self.said.own else []
            tables += [
                looker.judge(next(seen), drawn, said, self.said.own)
                for looker, seen in zip(self.lips, looks, strict=True)
            ]
            for table in tables:
                for key, figures in table.items():
                    found[key] |= figures
            if self.inception:
                for i, frames in enumerate(batch.frames.tolist()):
                    self.inception.add(batch.video[i, :frames], drawn[i, :frames])
        self.found = dict(evaluation.gathered(list(found.items())))
        if self.inception:
            self.inception.take_all(evaluation.gathered([self.inception.moments]))

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | None]:
        """Figures are means over the clips that have them."""
        for row in rows:
            row |= self.found.get(row["key"], {})
        names = (*FIGURES, *(name for looker in self.lips for name in looker.FIGURES))
        figures = {name: mean([row.get(name) for row in rows]) for name in names}
        return figures | {"fid": self.inception.fid if self.inception else None}

    def show(self, clips: list[GeneratedClip], folder: Path) -> Media:
        run, config = self.evaluation.run, self.evaluation.config
        keys = [clip.key for clip in clips[: config.show]]
        if not self.said.own:
            name = evaluation_name(config.split, protocol=config.protocol)
            self.said.write(self.evaluation.run.directory.path / f"says-{name}.csv")
        return show_drawn(run.task, self.evaluation.dataset, run.device, keys, folder, self.said.of)

    def remarks(self) -> list[str]:
        lines = [] if self.evaluation.config.syncnet else ["LSE null (syncnet=RUN or FILE gives it)"]
        if not self.faces:
            lines.append("the estimated offset null (the corpus was not prepared with region=face)")
        return lines


def mouths(batch: Batch, drawn: torch.Tensor) -> dict[str, dict[str, float]]:
    """The FIGURES of each clip by its key; ``drawn`` are the pictures (B, T_v, C, H, W) uint8 of the batch."""
    lower, rows = batch.video.shape[-2] // 2, {}
    for i, (key, frames) in enumerate(zip(batch.key, batch.frames.tolist(), strict=True)):
        whole = batch.video[i, :frames].cpu(), drawn[i, :frames].cpu()
        truth, found = (pictures[..., lower:, :].numpy() for pictures in whole)
        rows[key] = {name: figure(truth, found) for name, figure in LOWER.items()}
        rows[key] |= dict(zip(FIGURES[len(LOWER) :], motion_agreement(*whole), strict=True))
    return rows


@torch.no_grad()
def show_drawn(
    task: nn.Module, dataset: ShardDataset, device: torch.device, keys: list[str], folder: Path,
    said: Callable[[Batch], torch.Tensor] = lambda batch: batch.audio,
) -> Media:  # fmt: skip
    """Writes ``KEY.mp4``, recorded beside drawn with the sound, and ``KEY.png``, recorded above drawn, of clips;
    ``said`` gives what a batch is to say, (B, N)."""
    places = {key: i for i, key in enumerate(dataset.keys)}
    media = Media()
    for key in keys:
        batch = collate([dataset[0, places[key]]])
        batch = replace(batch, recorded=said(batch)).to(device)
        recorded, drawn = (pictures[0].cpu().numpy() for pictures in (batch.video, task.draw(batch)))
        media.pictures[key], media.videos[key] = folder / f"{key}.png", folder / f"{key}.mp4"
        write_strip(media.pictures[key], [recorded, drawn])
        audio = np.ascontiguousarray(batch.audio[0].cpu().numpy())
        write_film(media.videos[key], [recorded, drawn], float(batch.fps[0]), audio)
    return media
