import warnings

import numpy as np
import pystoi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_clips import speech_like

from slts.metrics import Undefined
from slts.metrics.intelligibility import estoi, stoi, stoi_estoi
from slts.reporting.sensitivity import delayed


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 50),
    seconds=st.floats(1.0, 3.0),
    delay=st.integers(0, 900),
    noise=st.floats(0.0, 0.3),
    scale=st.floats(0.01, 3.0),
)
def test_equal_to_pystoi(seed, seconds, delay, noise, scale):
    reference = speech_like(seed, seconds).astype(np.float64)
    interference = np.random.RandomState(seed).standard_normal(len(reference))
    generated = scale * (delayed(reference, delay) + noise * interference)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        expected = [pystoi.stoi(reference, generated, 16000, extended=extended) for extended in (False, True)]
    if any("Not enough STFT frames" in str(warning.message) for warning in caught):
        with pytest.raises(Undefined, match="under 30 frames"):
            stoi_estoi(reference, generated)
    else:
        assert stoi_estoi(reference, generated) == pytest.approx(expected, abs=1e-9)
        assert (stoi(reference, generated), estoi(reference, generated)) == stoi_estoi(reference, generated)


@pytest.mark.parametrize("samples", [1, 500, 6000, 6700])
def test_too_little_speech_is_not_a_number(samples):
    audio = speech_like(0)[20000 : 20000 + samples]
    with pytest.raises(Undefined, match="under 30 frames of speech"):
        stoi(audio, audio)


def test_little_speech_in_long_silence():
    audio = np.zeros(48000, np.float32)
    audio[10000:14000] = speech_like(0)[20000:24000]
    with pytest.raises(Undefined, match="under 30 frames of speech"):
        stoi(audio, audio)


def test_partly_silent_output_repeats_and_is_near_pystoi():
    """Where the generated audio is digitally silent pystoi correlates with noise; ours counts zero."""
    reference = speech_like(3).astype(np.float64)
    generated = reference.copy()
    generated[16000:36000] = 0
    ours = stoi_estoi(reference, generated)
    assert ours == stoi_estoi(reference, generated)
    assert ours[0] == pytest.approx(pystoi.stoi(reference, generated, 16000), abs=1e-9)
    assert ours[1] == pytest.approx(pystoi.stoi(reference, generated, 16000, extended=True), abs=0.02)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda audio: audio * 0, "silent"),
        (lambda audio: audio * np.nan, "not finite"),
        (lambda audio: np.where(np.arange(len(audio)) == 7, np.inf, audio), "not finite"),
        (lambda audio: audio[:0], "empty"),
        (lambda audio: audio[:-1], "lengths differ"),
        (lambda audio: np.stack([audio, audio]), "not mono"),
    ],
)
def test_bad_audio_is_undefined_with_its_reason(spoil, reason):
    audio = speech_like(0)
    with pytest.raises(Undefined, match=reason):
        stoi(audio, spoil(audio))
    with pytest.raises(Undefined, match=reason):
        stoi(spoil(audio), audio)
