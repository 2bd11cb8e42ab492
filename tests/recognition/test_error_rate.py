"""Rates of clips: what is held against what, and what is left out for which reason."""

import numpy as np
import pytest
import soxr

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


def test_clips_without_text_are_counted_and_in_a_rate_of_their_own():
    pairs = [(TONE, TONE[:800]), (TONE, TONE[:800]), (TONE * 0, TONE), (TONE, TONE[:800])]
    clips = hear(OPEN, pairs, [None, "set red", None, "  "])
    assert [clip.said for clip in clips] == ["lay red", "set red", None, "lay red"]
    assert [clip.rate for clip in clips] == [0.5, 1, None, 0.5]
    rows = table_columns({"w_wer": clips})
    assert [(row["w_wer"], row["w_wer_reference"]) for row in rows] == [
        (None, 0.5),
        (1, None),
        (None, None),
        (None, 0.5),
    ]
    nothing = "no text, and nothing is said in the reference"
    assert [row["w_reason"] for row in rows] == ["no text", None, nothing, "no text"]
    summary = summarise_words({"w_wer": clips})
    by_text, by_reference = summary["w_wer"], summary["w_wer_reference"]
    assert (by_text["rate"], by_text["clips"], by_text["reasons"]) == (1, 1, {"no text": 3})
    assert (by_reference["rate"], by_reference["clips"], by_reference["reasons"]) == (0.5, 2, {nothing: 1})


def test_text_that_the_recogniser_cannot_say_is_left_out_and_counted():
    texts = ["\N{HORIZONTAL ELLIPSIS}!?", "\u4eca\u65e5\u306f", "", "lay red"]
    clips = hear(OPEN, [(TONE, TONE)] * 4, texts)
    assert [clip.rate for clip in clips] == [None, None, 0, 0]
    summary = summarise_words({"w_wer": clips})["w_wer"]
    assert (summary["rate"], summary["clips"]) == (0, 1)
    assert summary["reasons"] == {"text without a Latin letter or digit": 2, "no text": 1}


@pytest.mark.parametrize("rate", [16000, 48000])
def test_dithered_silence_costs_all_words(rate):
    """One step of 16-bit PCM up and down, also where it was resampled to 16 kHz."""
    rng = np.random.default_rng(0)
    dither = np.round(rng.triangular(-1, 0, 1, rate * 10)).astype(np.float32) / 32768
    silence = soxr.resample(dither, rate, 16000)
    for recogniser in (OPEN, BOUND):
        (clip,) = hear(recogniser, [(TONE, silence)], ["lay red"])
        assert (clip.rate, clip.heard, clip.errors.deletions) == (1, "", 2)


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
