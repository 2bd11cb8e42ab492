"""Word error rates of generated speech, by clip and over all."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slts.metrics import Undefined
from slts.metrics.excerpt import check_audio
from slts.metrics.words import WordErrors, rate_and_interval, word_errors
from slts.recognition.recogniser import Recogniser

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Heard:
    """What was heard in one clip's generated audio."""

    said: str | None = None
    """The reference, as it was compared."""
    heard: str | None = None
    errors: WordErrors | None = None
    reason: str | None = None
    """Why there are no errors to count."""

    @property
    def rate(self) -> float | None:
        return None if self.errors is None else self.errors.errors / self.errors.words


def hear(
    recogniser: Recogniser,
    pairs: Iterable[Pair | Callable[[], Pair]],
    texts: Sequence[str | None],
    progress: Callable[[Iterator[Heard]], Iterable[Heard]] = iter,
) -> list[Heard]:
    """What is heard in each generated clip against what was said.

    Args:
        pairs: reference and generated audio (N,), (N',) at 16 kHz, or a function that returns them or raises Undefined.
        texts: what was said, None where the corpus does not tell.
        progress: wraps the iterator over finished clips, for a progress bar.
    """
    return list(progress(_hear_one(recogniser, pair, text) for pair, text in zip(pairs, texts, strict=True)))


def _hear_one(recogniser: Recogniser, pair: Pair | Callable[[], Pair], text: str | None) -> Heard:
    try:
        reference, generated = pair() if callable(pair) else pair
        if recogniser.grammar is not None:
            if not text:
                raise Undefined("no text")
            if recogniser.grammar.parse(text) is None:
                raise Undefined("text is no sentence of the grammar")
        said = recogniser.normalise(text or _transcript(recogniser, reference, "reference"))
        if not said.split():
            raise Undefined("nothing is said in the reference")
        heard = recogniser.normalise(_transcript(recogniser, generated, "generated"))
    except Undefined as reason:
        return Heard(reason=str(reason))
    return Heard(said, heard, word_errors(said, heard))


def _transcript(recogniser: Recogniser, audio: np.ndarray, name: str) -> str:
    """Nothing is said in silence, whatever a recogniser makes of it; audio that is damaged raises Undefined."""
    if audio.ndim == 1 and audio.size and not np.any(audio):
        return ""
    check_audio(audio, name)
    return recogniser.transcribe(audio)


def table_columns(heard: dict[str, list[Heard]]) -> list[dict]:
    """For each clip, by column, its rate, the texts compared and why there are none: w_wer, w_said, w_heard, w_reason,
    and the same for k."""
    columns = [
        [
            {name: c.rate, f"{name[0]}_said": c.said, f"{name[0]}_heard": c.heard, f"{name[0]}_reason": c.reason}
            for c in clips
        ]
        for name, clips in heard.items()
    ]
    return [{k: v for part in parts for k, v in part.items()} for parts in zip(*columns, strict=True)]


def summarise_words(heard: dict[str, list[Heard]]) -> dict[str, dict]:
    """By metric: rate over the corpus and its 95 % bootstrap interval over clips (None where no clip has one), clips
    and words counted, and reasons {reason: clips it struck}."""
    summary = {}
    for name, clips in heard.items():
        counted = [clip.errors for clip in clips if clip.errors is not None]
        rate, interval = rate_and_interval(counted)
        reasons = Counter(clip.reason for clip in clips if clip.reason is not None)
        words = sum(errors.words for errors in counted)
        facts = {"rate": rate, "interval": interval, "clips": len(counted), "words": words}
        summary[name] = facts | {"reasons": dict(reasons.most_common())}
    return summary
