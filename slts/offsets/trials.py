"""Trials for an estimator of offsets: clips of people held out at known random offsets, and what no offset can be told
of: another clip's sound, a still or covered picture, silence, noise and music."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slts.audio import SAMPLE_RATE
from slts.data.batch import Batch, collate
from slts.data.dataset import ShardDataset

LARGEST_MS = 300
"""Injected offsets are uniform between minus and plus this, in whole ms."""
ROOM = 0.4
"""Seconds by which a trial is shorter than its clip, so that there is real sound at every offset."""
LONGEST = 5.5
"""Seconds of a clip that are used at most."""
CONTROLS = ("other", "beyond", "still", "covered", "silence", "noise", "music")
"""Trials without a right answer. ``other`` is the sound of another clip, of the same person where there is one;
``beyond`` is the own sound at an offset of BEYOND_MS."""
BEYOND_MS = 500, 700


@dataclass(frozen=True)
class Trial:
    """What is known of one row of a batch of trials."""

    split: str
    person: str
    key: str
    kind: str
    """own, or one of CONTROLS."""
    truth_ms: float
    """Injected offset with what is known of the clip's own, positive where the video lags; NaN for a control."""
    seconds: float


def trials(
    dataset: ShardDataset, split: str, own: int, other: int, controls: bool, most: int | None = None
) -> Iterator[tuple[Batch, list[Trial]]]:
    """All trials of a clip as one batch, clip after clip.

    Args:
        dataset: whole clips of a split.
        split: its name.
        own: trials a clip with its own sound, at random offsets.
        other: trials a clip with the sound of other clips.
        controls: one trial a clip of each other control, too.
        most: clips used, spread evenly over the split; None is all.
    """
    names = {number: name for name, number in dataset.speakers.items()}
    places = np.linspace(0, len(dataset) - 1, min(most or len(dataset), len(dataset))).round().astype(int)
    clips = [dataset[0, int(place)] for place in places]
    for clip in clips:
        rng = np.random.default_rng(list(clip["key"].encode()))
        whole = min(len(clip["video"]) / clip["fps"], len(clip["audio"]) / SAMPLE_RATE, LONGEST)
        kinds = ["own"] * own + ["other"] * other + (list(CONTROLS[1:]) if controls else [])
        rows = [_trial(clip, clips, kind, whole, rng) for kind in kinds]
        facts = [
            Trial(split, names[clip["speaker"]], clip["key"], kind, row["offset_ms"], len(row["video"]) / clip["fps"])
            for kind, row in zip(kinds, rows, strict=True)
        ]
        yield collate(rows), facts


def _trial(clip: dict, clips: list[dict], kind: str, whole: float, rng: np.random.Generator) -> dict:
    """A stretch of pictures and a sound of the same length, as a sample of a batch."""
    fps, known = clip["fps"], 0.0 if np.isnan(clip["offset_ms"]) else float(clip["offset_ms"])
    offset = rng.integers(-LARGEST_MS, LARGEST_MS, endpoint=True) - known if kind != "other" else 0.0
    if kind == "beyond":
        offset = rng.choice([-1, 1]) * rng.integers(*BEYOND_MS, endpoint=True) - known
    count = int((whole - max(ROOM, abs(offset) / 1000 + 0.1)) * fps)
    seconds = count / fps
    earliest, latest = max(0.0, -offset / 1000), min(whole - seconds, whole - seconds - offset / 1000)
    first = int(rng.integers(np.ceil(earliest * fps - 1e-6), np.floor(latest * fps + 1e-6), endpoint=True))
    video = clip["video"][first : first + count]
    sound, start = clip["audio"], first / fps + offset / 1000
    wanted = round(seconds * SAMPLE_RATE)
    if kind == "other":
        sound = _other(clip, clips, rng)["audio"]
        start = rng.uniform(0, max(0.0, len(sound) / SAMPLE_RATE - seconds))
        sound = torch.cat([sound, *[sound.flip(0), sound] * (wanted // len(sound))])
    sound = sound[round(start * SAMPLE_RATE) :][:wanted]
    sound = torch.nn.functional.pad(sound, (0, wanted - len(sound)))
    if kind == "still":
        video = video[:1].expand_as(video)
    elif kind == "covered":
        video = video.clone()
        half = video.shape[-1] // 2
        video[..., half:, :] = 128 + torch.from_numpy(rng.integers(-4, 5, video[..., half:, :].shape, np.int8)).int()
    elif kind == "silence":
        sound = torch.zeros_like(sound)
    elif kind == "noise":
        sound = 0.1 * torch.from_numpy(rng.standard_normal(wanted).astype(np.float32))
    elif kind == "music":
        sound = _music(wanted, rng)
    return {
        **clip,
        "video": video,
        "audio": sound,
        "offset_ms": float(offset + known) if kind == "own" else float("nan"),
    }


def _other(clip: dict, clips: list[dict], rng: np.random.Generator) -> dict:
    others = [c for c in clips if c["key"] != clip["key"]]
    same = [c for c in others if c["speaker"] == clip["speaker"]]
    return (same or others)[int(rng.integers(len(same or others)))]


def _music(samples: int, rng: np.random.Generator) -> Tensor:
    """A tune of notes with five harmonics each, that begin at random times."""
    sound, time = np.zeros(samples), np.arange(samples) / SAMPLE_RATE
    start = 0.0
    while start < time[-1]:
        pitch = 110 * 2 ** (rng.integers(0, 25) / 12)
        since = time - start
        note = sum(np.sin(2 * np.pi * pitch * n * since) / n for n in range(1, 6))
        sound += np.where(since >= 0, note * np.exp(-np.maximum(since, 0) / 0.3), 0)
        start += rng.uniform(0.1, 0.5)
    return torch.from_numpy((0.1 * sound).astype(np.float32))
