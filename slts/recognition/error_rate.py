"""Word error rates of generated speech, by clip and over all.

w_wer and k_wer hold what is heard against the text of the clip; a clip without one is in neither. What Whisper hears in
the generated audio of such a clip is held against what it hears in the reference, under a name of its own:
w_wer_reference, the paper's w-WER of corpora that have no text.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slts.metrics import Undefined
from slts.metrics.excerpt import check_audio
from slts.metrics.words import WordErrors, rate_and_interval, word_errors
from slts.recognition.recogniser import Recogniser

INAUDIBLE = 4 / 32768
"""Audio that never exceeds it (-78 dB) is dither, also where it was resampled; nothing is said in it."""
NO_TEXT = "no text"
WORD = re.compile("[a-z0-9]", re.IGNORECASE)
"""What the words of English, and of the grammars, hold."""

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Heard:
    """What was heard in one clip's generated audio."""

    said: str | None = None
    """The text, or else what is heard in the reference, as it was compared."""
    heard: str | None = None
    errors: WordErrors | None = None
    reason: str | None = None
    """Why there are no errors to count."""
    by_text: bool = True
    """False where the clip has no text, so that its errors are none of w_wer."""

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
        texts: what was said, None or blank where the corpus does not tell.
        progress: wraps the iterator over finished clips, for a progress bar.
    """
    return list(progress(_hear_one(recogniser, pair, text) for pair, text in zip(pairs, texts, strict=True)))


def _hear_one(recogniser: Recogniser, pair: Pair | Callable[[], Pair], text: str | None) -> Heard:
    by_text = bool(text and text.strip())
    try:
        reference, generated = pair() if callable(pair) else pair
        said = _text(recogniser, text) if by_text else _heard_in_reference(recogniser, reference)
        heard = recogniser.normalise(_transcript(recogniser, generated, "generated"))
    except Undefined as reason:
        return Heard(reason=str(reason), by_text=by_text)
    return Heard(said, heard, word_errors(said, heard), by_text=by_text)


def _text(recogniser: Recogniser, text: str) -> str:
    if recogniser.grammar is not None and recogniser.grammar.parse(text) is None:
        raise Undefined("text is no sentence of the grammar")
    said = recogniser.normalise(text)
    if not WORD.search(said):
        raise Undefined("text without a Latin letter or digit")
    return said


def _heard_in_reference(recogniser: Recogniser, reference: np.ndarray) -> str:
    if recogniser.grammar is not None:
        raise Undefined(NO_TEXT)
    said = recogniser.normalise(_transcript(recogniser, reference, "reference"))
    if not said.split():
        raise Undefined("no text, and nothing is said in the reference")
    return said


def _transcript(recogniser: Recogniser, audio: np.ndarray, name: str) -> str:
    """Nothing is said in silence, whatever a recogniser makes of it; audio that is damaged raises Undefined."""
    if audio.ndim == 1 and audio.size and max(-audio.min(), audio.max()) <= INAUDIBLE:
        return ""
    check_audio(audio, name)
    return recogniser.transcribe(audio)


def table_columns(heard: dict[str, list[Heard]]) -> list[dict]:
    """For each clip, by column, its rate, the texts compared and why there is no rate: w_wer, w_wer_reference where a
    clip has no text, w_said, w_heard, w_reason, and the same for k."""
    columns = [_columns(name, clips) for name, clips in heard.items()]
    return [{k: v for part in parts for k, v in part.items()} for parts in zip(*columns, strict=True)]


def _columns(name: str, clips: list[Heard]) -> list[dict]:
    letter, without_text = name[0], any(not clip.by_text and clip.errors is not None for clip in clips)
    return [
        {
            name: clip.rate if clip.by_text else None,
            **({f"{name}_reference": None if clip.by_text else clip.rate} if without_text else {}),
            f"{letter}_said": clip.said,
            f"{letter}_heard": clip.heard,
            f"{letter}_reason": clip.reason or (None if clip.by_text else NO_TEXT),
        }
        for clip in clips
    ]


def summarise_words(heard: dict[str, list[Heard]]) -> dict[str, dict]:
    """By metric: rate over the corpus and its 95 % bootstrap interval over clips (None where no clip has one), clips
    and words counted, and reasons {reason: clips it struck}. Clips without text are counted there, and make up
    w_wer_reference where there are any."""
    summary = {}
    for name, clips in heard.items():
        by_text, others = ([clip for clip in clips if clip.by_text == which] for which in (True, False))
        summary[name] = _summary(by_text, Counter({NO_TEXT: len(others)}))
        if any(clip.errors is not None for clip in others):
            summary[f"{name}_reference"] = _summary(others, Counter())
    return summary


def _summary(clips: list[Heard], reasons: Counter) -> dict:
    counted = [clip.errors for clip in clips if clip.errors is not None]
    rate, interval = rate_and_interval(counted)
    reasons = +(reasons + Counter(clip.reason for clip in clips if clip.reason is not None))
    words = sum(errors.words for errors in counted)
    facts = {"rate": rate, "interval": interval, "clips": len(counted), "words": words}
    return facts | {"reasons": dict(reasons.most_common())}
