"""Rates of clips: what is held against what, and what is left out for which reason."""

import numpy as np
import pytest

from slts.metrics import Undefined
from slts.recognition.error_rate import hear, summarise_words, table_columns
from slts.recognition.grammar import Grammar
from slts.recognition.recogniser import Recogniser

TONE = np.sin(np.arange(1600)).astype(np.float32)


def by_length(audio: np.ndarray) -> str:
    return {1600: "Lay red.", 800: "lay blue", 400: "set"}[len(audio)]


GRAMMAR = Grammar((("lay", "set"), ("red", "blue")))
OPEN = Recogniser("w_wer", by_length, lambda text: text.lower().strip("."))
BOUND = Recogniser("k_wer", by_length, lambda text: text.lower().strip("."), GRAMMAR)


def missing():
    raise Undefined("no generated file")


def test_rates_and_reasons():
    pairs = [(TONE, TONE), (TONE, TONE[:800]), (TONE, TONE[:400]), (TONE, TONE * 0), (TONE, TONE * np.nan), missing]
    pairs += [(TONE, TONE[:0]), (TONE, TONE), (TONE, TONE)]
    texts = ["lay red"] * 7 + [None, "place red now"]
    clips = hear(BOUND, pairs, texts)
    # Equal; a substitution; a substitution and a deletion; nothing heard in silence: two deletions.
    assert [clip.rate for clip in clips[:4]] == [0, 0.5, 1, 1]
    assert [clip.reason for clip in clips[4:]] == [
        "generated audio is not finite",
        "no generated file",
        "generated audio is empty",
        "no text",
        "text is no sentence of the grammar",
    ]
    [(name, summary)] = summarise_words({"k_wer": clips}).items()
    assert name == "k_wer" and summary["rate"] == 5 / 8
    assert (summary["clips"], summary["words"], sum(summary["reasons"].values())) == (4, 8, 5)
    low, high = summary["interval"]
    assert 0 <= low < 5 / 8 < high <= 1


def test_without_text_the_reference_audio_tells():
    clips = hear(OPEN, [(TONE, TONE[:800]), (TONE, TONE[:800]), (TONE * 0, TONE)], [None, "set blue", None])
    assert [clip.said for clip in clips] == ["lay red", "set blue", None]
    assert [clip.rate for clip in clips] == [0.5, 0.5, None]
    assert clips[2].reason == "nothing is said in the reference"


def test_columns_of_a_table():
    heard = {r.metric: hear(r, [(TONE, TONE), missing], ["lay red", "lay red"]) for r in (OPEN, BOUND)}
    first, second = table_columns(heard)
    assert list(first) == [f"{k}_{c}" for k in "wk" for c in ("wer", "said", "heard", "reason")]
    assert (first["k_wer"], first["k_said"], first["w_heard"], first["w_reason"]) == (0, "lay red", "lay red", None)
    assert (second["w_wer"], second["k_reason"]) == (None, "no generated file")
    assert table_columns({}) == [] and summarise_words({}) == {}
    nothing = summarise_words({"k_wer": hear(BOUND, [missing], ["lay red"])})["k_wer"]
    assert (nothing["rate"], nothing["interval"], nothing["clips"]) == (None, None, 0)


def test_texts_and_clips_must_be_as_many():
    with pytest.raises(ValueError):
        hear(OPEN, [(TONE, TONE)], [])
