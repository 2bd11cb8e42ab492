"""The mel spectrogram: filters, time alignment, floor, lengths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.audio.mel import BANDS, FLOOR, HOP, WINDOW, log_mel, magnitude, slaney_filters


def test_filters_are_slaneys():
    reference = pytest.importorskip("transformers.audio_utils")
    expected = reference.mel_filter_bank(WINDOW // 2 + 1, BANDS, 0, 8000, 16000, norm="slaney", mel_scale="slaney")
    np.testing.assert_allclose(slaney_filters().numpy(), expected.T, atol=1e-6)


def test_filters_have_unit_area():
    # In hertz, a triangle of height 2 / width has area 1; wide bands sample it finely enough.
    area = slaney_filters()[40:].sum(1) * 16000 / WINDOW
    torch.testing.assert_close(area, torch.ones(40), atol=0.02, rtol=0)


def test_sine_has_the_windows_magnitude():
    # A sine of amplitude a on bin k gives a * sum(window) / 2 = a * 160 at that bin of an inner frame.
    time = torch.arange(16000) / 16000
    spectrum = magnitude((0.5 * torch.sin(2 * math.pi * 1000 * time))[None])[0, :, 50]
    assert spectrum.argmax() == 1000 * WINDOW // 16000
    assert spectrum.max().item() == pytest.approx(80, rel=1e-4)


@pytest.mark.parametrize("frame", [3, 10, 42])
def test_frame_is_centred_on_its_sample(frame):
    audio = torch.zeros(1, 50 * HOP)
    audio[0, frame * HOP] = 1
    energy = log_mel(audio)[0].exp().sum(-1)
    assert energy.argmax() == frame
    torch.testing.assert_close(energy[frame - 1], energy[frame + 1], rtol=1e-4, atol=0)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(WINDOW, 20 * HOP))
def test_length_floor_and_range(samples):
    mel = log_mel(torch.rand(2, samples) * 2 - 1)
    assert mel.shape == (2, samples // HOP, BANDS)
    assert mel.min() >= math.log(FLOOR) - 1e-6


def test_silence_is_the_floor_and_has_a_gradient():
    audio = torch.zeros(1, 10 * HOP, requires_grad=True)
    mel = log_mel(audio)
    torch.testing.assert_close(mel, torch.full_like(mel, math.log(FLOOR)))
    magnitude(audio).sum().backward()
    assert audio.grad.isfinite().all()


def test_gain_adds_its_logarithm():
    audio = torch.randn(1, 8000) * 0.1
    torch.testing.assert_close(log_mel(audio * 2), log_mel(audio) + math.log(2), atol=1e-4, rtol=0)
