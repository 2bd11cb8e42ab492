"""Equations 1 to 7 of arXiv 2303.00502 on examples computed by hand, both signs, masks and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slts.audio.upsampling import mel_lengths, upsample_by_time
from slts.systems.slts.offset_predictor import LocalExtractor, OffsetPredictor, cross_correlation
from slts.systems.slts.synchronisation import (
    hard_correct,
    masked_mse,
    most_likely_offset,
    self_synchronisation_loss,
    soft_correct,
    soft_loss,
)

EVENTS = torch.eye(6)
"""Six orthonormal embeddings, one an audio event: a b c d e f."""


def log_probability(masses: dict[int, float], radius: int) -> torch.Tensor:
    p = torch.full((1, 2 * radius + 1), 1e-9)
    for k, mass in masses.items():
        p[0, k + radius] = mass
    return p.log()


def test_eq1_video_one_frame_late_peaks_at_plus_one():
    # The video shows (-, a, b, c, d, e): it lags the audio (a, b, c, d, e, f) by one frame.
    video = torch.cat([torch.zeros(1, 6), EVENTS[:5]])[None]
    assert cross_correlation(video, EVENTS[None], 2).tolist() == [[0, 0, 0, 5, 0]]


def test_eq1_video_two_frames_early_peaks_at_minus_two():
    video = torch.cat([EVENTS[2:], torch.zeros(2, 6)])[None]
    assert cross_correlation(video, EVENTS[None], 2).tolist() == [[4, 0, 0, 0, 0]]


def test_eq1_limits_are_those_printed():
    video, audio = torch.randn(2, 7, 3), torch.randn(2, 7, 3)
    got = cross_correlation(video, audio, 4)
    for k in range(-4, 5):
        expected = sum((video[:, i] * audio[:, i - k]).sum(-1) for i in range(max(k, 0), min(k, 0) + 7))
        torch.testing.assert_close(got[:, k + 4], expected)


def test_eq2_softmax_of_the_correlation_over_temperature():
    predictor = OffsetPredictor(6, 6, 6, radius=2, temperature=1.0)
    predictor.video, predictor.audio = torch.nn.Identity(), torch.nn.Identity()
    video = torch.cat([torch.zeros(1, 6), EVENTS[:5]])[None]
    p = predictor(video, EVENTS[None], torch.tensor([6])).exp()
    # exp(5) / (exp(5) + 4) = 0.9738
    assert p[0, 3].item() == pytest.approx(0.97376, abs=1e-4)
    assert p.sum().item() == pytest.approx(1)
    predictor.temperature = 5.0
    assert predictor(video, EVENTS[None], torch.tensor([6])).exp()[0, 3].item() == pytest.approx(0.40461, abs=1e-4)


def test_eq2_ignores_frames_beyond_the_length():
    predictor = OffsetPredictor(6, 6, 6, radius=2, temperature=1.0)
    predictor.video, predictor.audio = torch.nn.Identity(), torch.nn.Identity()
    clip = torch.randn(1, 6, 6)
    padded = torch.cat([clip, torch.randn(1, 3, 6)], 1)
    lengths = torch.tensor([6])
    torch.testing.assert_close(predictor(padded, padded, lengths), predictor(clip, clip, lengths))


def test_extractor_sees_one_frame_to_each_side_and_has_unit_norm():
    extractor = LocalExtractor(5, 8).eval()
    x = torch.randn(1, 9, 5, requires_grad=True)
    out = extractor(x)
    torch.testing.assert_close(out.norm(dim=-1), torch.ones(1, 9))
    out[0, 4].sum().backward()
    assert x.grad[0].abs().sum(-1).nonzero().flatten().tolist() == [3, 4, 5]


def test_eq3_moves_by_plus_k():
    mel = torch.arange(1.0, 7)[None, :, None]
    late = soft_correct(mel, log_probability({1: 1.0}, 2))[0, :, 0]
    early = soft_correct(mel, log_probability({-2: 1.0}, 2))[0, :, 0]
    torch.testing.assert_close(late, torch.tensor([2.0, 3, 4, 5, 6, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(early, torch.tensor([0.0, 0, 1, 2, 3, 4]), atol=1e-5, rtol=0)


def test_eq3_is_the_sum_printed():
    mel, log_p, radius, length = torch.randn(1, 8, 2), torch.randn(1, 7).log_softmax(-1), 3, 8
    got = soft_correct(mel, log_p)
    for i in range(length):
        expected = sum(
            log_p[0, -k + radius].exp() * mel[0, i - k] for k in range(max(-radius, i - length + 1), min(radius, i) + 1)
        )
        torch.testing.assert_close(got[0, i], expected)


def test_eq3_mixes_proposals():
    mel = torch.tensor([0.0, 10, 20, 30])[None, :, None]
    mixed = soft_correct(mel, log_probability({0: 0.25, 1: 0.75}, 1))[0, :, 0]
    torch.testing.assert_close(mixed[:3], torch.tensor([7.5, 17.5, 27.5]), atol=1e-4, rtol=0)


def test_eq4_leaves_out_the_edges():
    target, corrected = torch.zeros(1, 8, 1), torch.ones(1, 8, 1)
    corrected[0, 3:5] = 3.0
    corrected[0, :2] = corrected[0, 6:] = 100.0
    # Frames 2 .. 5 of 8 with K = 2: (1 + 9 + 9 + 1) / 4.
    assert soft_loss(target, corrected, torch.tensor([8]), 2).item() == 5.0
    # A clip of 6 valid frames: 2 and 3 remain, (1 + 9) / 2.
    assert soft_loss(target, corrected, torch.tensor([6]), 2).item() == 5.0
    assert soft_loss(target, corrected, torch.tensor([4]), 2).item() == 0.0


@pytest.mark.parametrize(
    ("offset", "values", "mask"),
    [
        (1, [2, 3, 4, 5, 6, 0], [1, 1, 1, 1, 1, 0]),
        (-2, [0, 0, 1, 2, 3, 4], [0, 0, 1, 1, 1, 1]),
        (0, [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1]),
        (9, [0] * 6, [0] * 6),
    ],
)
def test_eq5_repaired_moves_and_masks(offset, values, mask):
    corrected, valid = hard_correct(torch.arange(1.0, 7)[None, :, None], torch.tensor([offset]), torch.tensor([6]))
    assert corrected[0, :, 0].tolist() == values
    assert valid[0].int().tolist() == mask


def test_eq5_masks_the_padding_of_a_shorter_clip():
    _, valid = hard_correct(torch.ones(2, 6, 1), torch.tensor([1, -1]), torch.tensor([4, 4]))
    assert valid.int().tolist() == [[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 0]]


def test_eq5_undoes_the_delay_that_eq1_finds():
    # In-sync reconstruction of a video that lags by one frame: (-, a, b, c, d, e).
    reconstruction = torch.cat([torch.zeros(1, 6), EVENTS[:5]])[None]
    k = most_likely_offset(cross_correlation(reconstruction, EVENTS[None], 2))
    corrected, valid = hard_correct(reconstruction, k, torch.tensor([6]))
    assert k.item() == 1
    assert masked_mse(corrected, EVENTS[None], valid).item() == 0.0


def test_eq6_is_the_mean_over_valid_frames_and_bands():
    prediction, target = torch.tensor([[[1.0, 3.0], [9.0, 9.0]]]), torch.zeros(1, 2, 2)
    assert masked_mse(prediction, target, torch.tensor([[True, False]])).item() == 5.0
    assert masked_mse(prediction, target, torch.tensor([[False, False]])).item() == 0.0


def test_eq7_is_minus_log_probability_of_zero():
    log_p = torch.cat([log_probability({0: 0.5, 1: 0.5}, 1), log_probability({0: 0.125, -1: 0.875}, 1)])
    # (ln 2 + ln 8) / 2
    assert self_synchronisation_loss(log_p).item() == pytest.approx(1.3863, abs=1e-3)


@given(k=st.integers(-5, 5), length=st.integers(12, 30))
def test_hard_correction_inverts_any_delay(k, length):
    source = torch.randn(1, length + 10, 3)
    reference, delayed = source[:, 5 : 5 + length], source[:, 5 - k : 5 - k + length]
    corrected, valid = hard_correct(delayed, torch.tensor([k]), torch.tensor([length]))
    assert masked_mse(corrected, reference, valid).item() == 0.0
    assert valid.sum().item() == length - abs(k)


def test_upsampling_adds_no_offset():
    # A feature that is its own time, 25 fps: at mel frame j it must read j / 100 s until the last video frame.
    times = (torch.arange(10.0) / 25)[None, :, None]
    up = upsample_by_time(times, torch.tensor([10]), torch.tensor([25.0]), 40)[0, :, 0]
    expected = (torch.arange(40.0) / 100).clamp_max(9 / 25)
    torch.testing.assert_close(up, expected, atol=1e-6, rtol=0)


@given(frames=st.integers(2, 80), fps=st.sampled_from([24.0, 25.0, 30000 / 1001, 30.0, 50.0]))
def test_upsampling_by_time_at_any_rate(frames, fps):
    times = (torch.arange(float(frames)) / fps)[None, :, None]
    length = int(mel_lengths(torch.tensor([frames]), torch.tensor([fps])))
    up = upsample_by_time(times, torch.tensor([frames]), torch.tensor([fps]), length)[0, :, 0]
    expected = (torch.arange(length) / 100).clamp_max((frames - 1) / fps)
    torch.testing.assert_close(up, expected, atol=1e-5, rtol=0)
