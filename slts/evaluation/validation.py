"""Validation inside training: aligned scores, offsets, and a few sounds and pictures."""

from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object

from slts.data.loader import Augmentation, ShardDataset, collate, evaluation_loader
from slts.data.location import typed_data
from slts.data.media import write_sound
from slts.evaluation.clips import GeneratedClip, generate_clips
from slts.evaluation.pictures import mel_figure, offset_figure
from slts.evaluation.synchronisation import validate_offsets
from slts.metrics.scoring import score_pairs
from slts.offsets.agreement import offset_agreement
from slts.systems import generates
from slts.training.loop import Validation
from slts.training.tracking import Media

SHOWN = 2
"""Clips that leave sounds and pictures."""
COLLAPSED = 0.5
"""Share of offsets at the edge of the search range from which on people are warned."""


def validate(config, accelerator, task: torch.nn.Module, step: int) -> Validation:
    """Scores up to ``validate_clips`` clips of the val split, shared among the ranks.

    The score is the mean a-STOI (section 5); a task that generates nothing is scored by the offsets it finds. Complete
    on the main process, empty elsewhere.
    """
    if not generates(task):
        return validate_offsets(config, accelerator, task, step)
    picture = (config.model.image_size, config.model.channels)
    shards = {"disk_gb": config.disk_gb, "verify_shards": config.verify_shards}
    dataset = ShardDataset(typed_data(config), "val", *picture, Augmentation(config.augment.crop), **shards)
    batches = evaluation_loader(
        dataset, config.batch_size, config.validate_clips, accelerator.process_index, accelerator.num_processes
    )
    clips = list(generate_clips(task, batches, accelerator.device))
    rows = score_pairs([(c.reference, c.generated) for c in clips], metrics=("stoi", "a_stoi", "a_estoi"))
    table = gather_object([{**row, **_offsets(clip)} for row, clip in zip(rows, clips, strict=True)])
    if not accelerator.is_main_process:
        return Validation(None, {})
    scalars = {
        name: float(np.mean(values))
        for name in ("stoi", "a_stoi", "a_estoi")
        if (values := [row[name] for row in table if row[name] is not None])
    }
    found = [row for row in table if row["dsm_offset_ms"] is not None]
    known = [row for row in found if row["offset_ms"] is not None]
    title = f"{config.name}, step {step}"
    warning = None
    if found:
        scalars["dsm_offset_ms"] = float(np.mean([row["dsm_offset_ms"] for row in found]))
        scalars["dsm_at_edge"] = float(np.mean([row["at_edge"] for row in found]))
        if scalars["dsm_at_edge"] > COLLAPSED:
            warning = (
                f"{scalars['dsm_at_edge']:.0%} of the offsets lie at +-task.radius: DSM has collapsed, or has not "
                "learned yet; if it stays so, raise task.radius, shorten chunk_seconds or change the seed"
            )
    if len(known) > 1:
        truth, predicted = (np.array([row[name] for row in known]) for name in ("offset_ms", "dsm_offset_ms"))
        agreement = offset_agreement(truth, predicted)
        scalars |= {f"offset_{k}": v for k, v in agreement.items() if v is not None}

    def show(folder: Path) -> Media:
        media = show_clips(task, dataset, accelerator.device, clips[:SHOWN], title, folder)
        if len(known) > 1:
            media.pictures["offsets"] = folder / "offsets.png"
            offset_figure(truth, predicted, title, media.pictures["offsets"])
        media.histograms["dsm_offset_ms"] = [row["dsm_offset_ms"] for row in found]
        return media

    return Validation(scalars.get("a_stoi"), scalars, show, warning)


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
        estimate = task.offsets(batch)
        media.pictures[clip.key] = folder / f"{clip.key}.png"
        mel_figure(
            {name: mel[0].cpu().numpy() for name, mel in task.mels(batch).items()},
            None if estimate is None or estimate.distribution is None else estimate.distribution[0].cpu().numpy(),
            f"{title}: {clip.key}" + ("" if clip.offset_ms is None else f", true offset {clip.offset_ms:+.0f} ms"),
            media.pictures[clip.key],
        )
    return media


def _offsets(clip: GeneratedClip) -> dict:
    return {name: getattr(clip, name) for name in ("key", "offset_ms", "dsm_offset_ms", "confidence", "at_edge")}
