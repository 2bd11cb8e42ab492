"""A language prior for AV2A: what a recogniser hears in a base's speech, said anew in recorded words."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from slts.audio.mel import HOP, log_mel
from slts.data.media import decode_flac, encode_flac
from slts.data.shards import read_corpus_json, read_shard
from slts.metrics import Undefined
from slts.recognition.trained import load_trained

FADE = 80
"""Samples in which a word begins and ends: 5 ms."""


def in_recorded_words(data: Path, recogniser: Path, samples: list[dict], of: str) -> Iterable[dict]:
    """Each clip with the sentence of the grammar that the recogniser hears in its KEY.synth.flac, in words of other
    training clips of ``data`` and of its speaker, at the times at which it hears them."""
    words = _recorded(data, recogniser)
    for sample in samples:
        yield sample | {"synth.flac": encode_flac(words.say(sample))}


class RecordedWords:
    """Recordings of single words by (speaker, word), and the clip that each is of.

    They are cut where the recogniser hears them, of training clips in which it hears what was said.
    """

    def __init__(self, data: Path, recogniser: Path):
        self.recogniser = load_trained(recogniser)
        self.recorded: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = defaultdict(list)
        for shard in read_corpus_json(data)["shards"]:
            for sample in read_shard(data / shard["file"]) if shard["file"].startswith("train-") else ():
                self._learn(sample)

    def _learn(self, sample: dict) -> None:
        sound, facts = decode_flac(sample["flac"]), sample["json"]
        heard = self._heard(sound)
        if " ".join(word for word, *_ in heard) == (facts["text"] or "").lower():
            for word, first, last in heard:
                self.recorded[facts["speaker"], word].append((sample["key"], _faded(sound[first:last])))

    def say(self, sample: dict) -> np.ndarray:
        """(N,) as long as what the base said; that itself where no sentence is heard in it."""
        spoken = decode_flac(sample["synth.flac"])
        said = np.zeros_like(spoken)
        for word, first, last in self._heard(spoken):
            known = self.recorded[sample["json"]["speaker"], word]
            others = [sound for key, sound in known if key != sample["key"]]
            if others:
                nearest = min(others, key=lambda sound: abs(len(sound) - (last - first)))
                begin = max(0, (first + last - len(nearest)) // 2)
                end = min(begin + len(nearest), len(said))
                said[begin:end] += nearest[: end - begin]
        return said if said.any() else spoken

    def _heard(self, sound: np.ndarray) -> list[tuple[str, int, int]]:
        """Words, and the samples from which and up to which each is heard."""
        try:
            words = self.recogniser.words(log_mel(torch.from_numpy(sound)[None])[0])
        except Undefined:
            return []
        return [(word, first * HOP, last * HOP) for word, first, last in words]


@cache
def _recorded(data: Path, recogniser: Path) -> RecordedWords:
    return RecordedWords(data, recogniser)


def _faded(sound: np.ndarray) -> np.ndarray:
    ramp = np.clip((np.arange(len(sound)) + 0.5) / FADE, 0, 1).astype(np.float32)
    return sound * ramp * ramp[::-1]
