"""What turns speech to words, and what its words are held against."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slts.metrics.words import normalise
from slts.recognition.grammar import GRID, Grammar
from slts.recognition.pocketsphinx import pocketsphinx_transcriber
from slts.recognition.trained import FACTS, load_trained
from slts.recognition.whisper import whisper_transcriber


@dataclass(frozen=True)
class Recogniser:
    metric: str
    """w_wer or k_wer."""
    transcribe: Callable[[np.ndarray], str]
    """Mono audio (N,) at 16 kHz in [-1, 1] to words. May raise Undefined."""
    normalise: Callable[[str], str]
    """Applied to both sides before they are compared."""
    grammar: Grammar | None = None
    """Of which a clip's text must be a sentence. Without one, a clip that has no text is held against what is heard in
    its reference audio, as w_wer_reference."""


def load_recognisers(whisper: str | None, recogniser: str | None, data: Path | None = None) -> list[Recogniser]:
    """The recognisers that were asked for.

    Args:
        whisper: model name or checkpoint file of w-WER, None for none.
        recogniser: of k-WER: ``pocketsphinx``, or a folder that ``slts recogniser`` made; None is the one in ``data``
            if there is one.
        data: folder of a prepared corpus.

    Raises:
        UserError: a model that cannot be had.
    """
    found = []
    if whisper is not None:
        found.append(Recogniser("w_wer", whisper_transcriber(whisper), normalise))
    if recogniser is None and data is not None and (data / "recogniser" / FACTS).exists():
        recogniser = str(data / "recogniser")
    if recogniser == "pocketsphinx":
        found.append(Recogniser("k_wer", pocketsphinx_transcriber(GRID), str.lower, GRID))
    elif recogniser is not None:
        trained = load_trained(Path(recogniser))
        found.append(Recogniser("k_wer", trained.transcribe, str.lower, trained.grammar))
    return found
