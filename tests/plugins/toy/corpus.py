"""A corpus of grey squares that brighten with a tone."""

from functools import partial

import numpy as np

from slts.data.clip import Clip
from slts.data.utterance import Utterance


def utterances(config) -> list[Utterance]:
    splits = ["train"] * config.clips + ["val"] * 2 + ["test"] * 2
    return [
        Utterance(f"toy-{i}", split, "nobody", None, f"toy {i}", partial(clip, i)) for i, split in enumerate(splits)
    ]


def clip(seed: int) -> Clip:
    """1.2 s at 25 fps with a tone that rises and falls."""
    loudness = np.abs(np.sin(np.arange(30) / 3 + seed))
    frames = np.repeat((255 * loudness).astype(np.uint8), 64 * 64 * 3).reshape(30, 64, 64, 3)
    time = np.arange(30 * 640) / 16000
    tone = np.random.default_rng(seed).normal(size=time.size) * 0.01 + 0.3 * np.sin(2 * np.pi * 300 * time)
    return Clip(frames=frames, fps=25.0, audio=(tone * np.repeat(loudness, 640)).astype(np.float32))
