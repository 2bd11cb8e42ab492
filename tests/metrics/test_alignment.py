import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_clips import speech_like

from slts.audio.mel import log_mel
from slts.metrics import Undefined
from slts.metrics.alignment import frontend_offset_ms, lag_errors, offsets_ms, overlap, refined_offset_ms
from slts.reporting.sensitivity import read_sound


def cut_apart(seed: int, lag_samples: int, seconds: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Two windows on one signal, real audio at both ends; the second hears everything lag_samples later."""
    source, count, start = speech_like(seed, seconds + 0.8), int(seconds * 16000), 6400
    return source[start : start + count], source[start - lag_samples : start - lag_samples + count]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5), frames=st.integers(-30, 30))
def test_shifts_on_the_grid_are_recovered_with_their_sign(seed, frames):
    reference, generated = cut_apart(seed, 160 * frames)
    assert offsets_ms(reference, generated)[0] == 10 * frames
    assert offsets_ms(generated, reference)[0] == -10 * frames


def test_late_audio_has_a_positive_offset():
    audio = speech_like(0)
    late = np.concatenate([np.zeros(1280, np.float32), audio])
    assert offsets_ms(audio, late)[0] == 80


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5), lag=st.integers(-4700, 4700))
def test_refined_offset_is_within_two_milliseconds(seed, lag):
    coarse, refined = offsets_ms(*cut_apart(seed, lag))
    assert abs(coarse - lag / 16) <= 5.5
    assert abs(refined - lag / 16) <= 2
    assert abs(refined - coarse) <= 5


@pytest.mark.parametrize("frames", [-30, -17, 0, 8, 30])
def test_recovered_at_10_db_noise(frames):
    reference, generated = cut_apart(1, 160 * frames)
    noise = np.random.RandomState(0).standard_normal(len(generated)).astype(np.float32)
    noise *= generated.std() / noise.std() * 10 ** (-10 / 20)
    assert offsets_ms(reference, generated + noise)[0] == 10 * frames


def test_real_clips_are_exact_on_the_grid_and_within_a_millisecond_off_it(grid):
    """Six recordings, both windows with real audio at their ends; 10 dB of noise costs nothing on the grid."""
    files = sorted(grid.glob("s*/*.mpg"))
    rng = np.random.RandomState(0)
    refined_errors = []
    for recording in map(read_sound, files[:: len(files) // 6][:6]):
        count = len(recording) - 9600
        heard = [recording[4800 - lag :][:count] for lag in range(-4800, 4801)]
        reference = heard[4800]
        for frames in rng.randint(-30, 31, 8):
            generated = heard[4800 + 160 * frames]
            noise = rng.standard_normal(len(generated)).astype(np.float32) * generated.std() * 10 ** (-10 / 20)
            assert offsets_ms(reference, generated)[0] == offsets_ms(reference, generated + noise)[0] == 10 * frames
        for lag in rng.randint(-4800, 4801, 8):
            coarse, refined = offsets_ms(reference, heard[4800 + lag])
            assert abs(coarse - lag / 16) <= 5.5
            refined_errors.append(abs(refined - lag / 16))
    assert np.median(refined_errors) <= 1


def test_errors_equal_the_definition():
    """61 mean squared errors written out, signals of unequal length, a batch of two."""
    reference = np.stack([speech_like(0, 1.2), speech_like(1, 1.2)])
    generated = np.stack([speech_like(2, 0.9), speech_like(1, 0.9)])
    generated[0, :4000] = 0
    errors = lag_errors(*(log_mel(torch.from_numpy(audio)) for audio in (reference, generated)))
    assert errors.shape == (2, 61)
    mels = []
    for audio in (reference, generated):
        mel = log_mel(torch.from_numpy(audio)).double().numpy()
        deviation = mel.std(-1, keepdims=True)
        mels.append((mel - mel.mean(-1, keepdims=True)) / np.where(deviation < 1e-4, np.inf, deviation))
    a, b = mels
    for index, lag in enumerate(range(-30, 31)):
        frames = [i for i in range(a.shape[1]) if 0 <= i + lag < b.shape[1]]
        expected = np.square(a[:, frames] - b[:, [i + lag for i in frames]]).mean((1, 2))
        np.testing.assert_allclose(errors[:, index].numpy(), expected, atol=2e-4)


def test_parabola_by_hand():
    """Errors 4, 1, 2 around a lag of 20 ms: vertex at + 0.5 (4 - 2) / (4 - 2 + 2) = 0.25 frames."""
    errors = torch.full((3, 61), 9.0)
    errors[0, 31:34] = torch.tensor([4.0, 1.0, 2.0])
    errors[1, 0] = errors[2, 60] = 1.0
    assert frontend_offset_ms(errors).tolist() == [20.0, -300.0, 300.0]
    assert refined_offset_ms(errors).tolist() == [22.5, -300.0, 300.0]


def test_overlap_by_hand():
    reference, generated = np.arange(100), np.arange(100) + 1000
    late = overlap(reference, generated, 2.0)  # 32 samples
    assert (late[0][0], late[1][0], len(late[0]), len(late[1])) == (0, 1032, 68, 68)
    early = overlap(reference, generated[:90], -2.0)
    assert (early[0][0], early[1][0], len(early[0]), len(early[1])) == (32, 1000, 68, 68)
    assert len(overlap(reference, generated[:40])[0]) == 40
    assert len(overlap(reference, generated, 500.0)[0]) == 0


@pytest.mark.parametrize("lag", [-4800, -1, 0, 777, 4800])
def test_overlap_undoes_a_shift(lag):
    reference, generated = overlap(*cut_apart(0, lag), lag / 16)
    np.testing.assert_array_equal(reference, generated)
    assert len(reference) == 40000 - abs(lag)


@pytest.mark.parametrize(
    ("generated", "reason"),
    [
        (speech_like(0, 0.59), "under 600 ms"),
        (np.zeros(16000, np.float32), "silent"),
        (np.full(16000, np.nan, np.float32), "not finite"),
        (np.zeros(0, np.float32), "empty"),
    ],
)
def test_no_offset_for_bad_audio(generated, reason):
    with pytest.raises(Undefined, match=reason):
        offsets_ms(speech_like(0), generated)
