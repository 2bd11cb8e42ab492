import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_clips import speech_like

from slts.metrics import Undefined, mcd, overlap, stoi
from slts.metrics.alignment import LOG_MEL
from slts.metrics.cepstral import MFCC
from slts.metrics.excerpt import Excerpt, checked_pair
from slts.metrics.intelligibility import AT_10_KHZ

ANALYSES = {"mfcc": (MFCC, 1e-11), "resampler": (AT_10_KHZ, 1e-13), "log-mel": (LOG_MEL, 2e-4)}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(ANALYSES)),
    start=st.one_of(st.integers(0, 40).map(lambda steps: 160 * steps), st.integers(0, 6000)),
    length=st.integers(1, 16000),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_an_excerpts_analysis_is_that_of_its_samples(name, start, length, dtype):
    analysis, tolerance = ANALYSES[name]
    audio = speech_like(0, 1.0).astype(dtype)
    excerpt = Excerpt(audio)[start : start + length]
    np.testing.assert_array_equal(excerpt.audio, audio[start : start + length])
    if len(excerpt) >= 160:
        expected = analysis.compute(excerpt.audio)
        np.testing.assert_allclose(excerpt.analysis(analysis), expected, rtol=tolerance, atol=tolerance)


def test_the_signal_is_analysed_once():
    calls = []
    analysis = type(MFCC)(lambda audio: calls.append(len(audio)) or MFCC.compute(audio), MFCC.per_step, MFCC.edge)
    whole = Excerpt(speech_like(0, 1.0))
    for start in (0, 800, 1600):
        whole[start : start + 12800].analysis(analysis)
    assert calls.count(16000) == 1 and max(calls[1:]) < 4000


def test_excerpts_of_excerpts_and_overlaps():
    audio = speech_like(0, 2.0)
    part = Excerpt(audio)[1600:][:20000]
    np.testing.assert_array_equal(part.audio, audio[1600:21600])
    np.testing.assert_allclose(part.analysis(MFCC), MFCC.compute(audio[1600:21600]), rtol=1e-11, atol=1e-11)
    first, second = overlap(Excerpt(audio), part, -100.0)
    np.testing.assert_array_equal(first.audio, second.audio)
    assert mcd(first, second) == pytest.approx(0, abs=1e-10) and stoi(first, second) == pytest.approx(1)


def test_lengths_may_differ_only_if_allowed():
    audio = speech_like(0, 1.0)
    assert [len(side) for side in checked_pair(audio, audio[:-1], equal_lengths=False)] == [16000, 15999]
    with pytest.raises(Undefined, match="lengths differ"):
        checked_pair(audio, audio[:-1])
