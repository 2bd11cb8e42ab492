"""Word error rates.

jiwer counts substitutions, deletions and insertions of the best alignment. The rate of a set is that of the corpus:
errors summed over its clips, divided by the words of the references summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import jiwer
import numpy as np

from slts.metrics import Undefined


@dataclass(frozen=True)
class WordErrors:
    """What one clip, or several, contributes to a rate."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0
    """Words of the reference."""

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def word_errors(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> WordErrors:
    """The errors of one hypothesis against its reference, or of many summed. Words are what white space separates.

    Texts are compared as they are: lower-case them or ``normalise`` them first. An empty hypothesis is all deletions,
    an empty reference all insertions.
    """
    if isinstance(references, str):
        references, hypotheses = [references], [hypotheses]
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references for {len(hypotheses)} hypotheses")
    if not len(references):
        return WordErrors()
    counted = jiwer.process_words(list(references), list(hypotheses))
    words = counted.hits + counted.substitutions + counted.deletions
    return WordErrors(counted.substitutions, counted.deletions, counted.insertions, words)


def word_error_rate(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> float:
    """Corpus-level word error rate, 0 for equal texts, above 1 where insertions abound.

    Raises Undefined when the references have no word.
    """
    counted = word_errors(references, hypotheses)
    if not counted.words:
        raise Undefined("reference text is empty")
    return counted.errors / counted.words


def normalise(text: str) -> str:
    """Text as Whisper's English normaliser leaves it: lower case, no punctuation, numbers as digits, one spelling.

    Numbers in a row merge: GRID's "in o nine" becomes "in 09", two words. The same happens on both sides of w-WER.
    """
    return _normaliser()(text)


@lru_cache(maxsize=1)
def _normaliser():
    from whisper.normalizers import EnglishTextNormalizer  # takes a second to import

    return EnglishTextNormalizer()


def rate_and_interval(
    clips: Sequence[WordErrors], seed: int = 0, resamples: int = 2000
) -> tuple[float | None, list[float] | None]:
    """The rate of several clips, None without words, and its 95 % percentile bootstrap interval over clips.

    The interval is None below two clips.
    """
    errors, words = np.array([(clip.errors, clip.words) for clip in clips], float).reshape(-1, 2).T
    if not words.sum():
        return None, None
    rate = float(errors.sum() / words.sum())
    if len(clips) < 2:
        return rate, None
    drawn = np.random.default_rng(seed).integers(len(clips), size=(resamples, len(clips)))
    rates = errors[drawn].sum(1) / np.maximum(words[drawn].sum(1), 1)
    return rate, np.percentile(rates, [2.5, 97.5]).tolist()
