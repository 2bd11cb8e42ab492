"""What word models are trained on: cepstra of each clip and of changed copies, with rough places of the words."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from slts.audio.mel import log_mel
from slts.recognition.augmentation import augment
from slts.recognition.features import cepstra_of
from slts.recognition.grammar import Grammar
from slts.recognition.speech import Speech


@dataclass
class Example:
    """One clip."""

    cepstra: Tensor
    """(T, CEPSTRA)."""
    words: tuple[str, ...]
    spans: list[tuple[int, int]]
    """Where each word is, frames from start to end; training improves on them."""


def examples_of(clips: Iterable[Speech], grammar: Grammar, copies: int, seed: int) -> list[Example]:
    """The clips whose text is a sentence of the grammar, each followed by its changed copies."""
    examples = []
    for index, clip in enumerate(clips):
        words = grammar.parse(clip.text)
        if words is None or not len(clip.audio):
            continue
        mel = log_mel(torch.from_numpy(clip.audio)[None])[0]
        changed = (augment(mel, np.random.default_rng([seed, index, copy])) for copy in range(copies))
        examples += [Example(cepstra_of(m), words, even_spans(m, len(words))) for m in (mel, *changed)]
    return examples


def even_spans(mel: Tensor, words: int) -> list[tuple[int, int]]:
    """The loud part of a log-mel (T, 80), cut into even shares."""
    loudness = mel.logsumexp(1)
    low, high = loudness.quantile(torch.tensor([0.1, 0.95]))
    loud = torch.nonzero(loudness >= low + 0.4 * (high - low))
    edges = torch.linspace(int(loud[0]), int(loud[-1]) + 1, words + 1).round().int().tolist()
    return list(pairwise(edges))
