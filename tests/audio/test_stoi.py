import numpy as np
import pystoi
import pytest
import torch
from pystoi.utils import resample_oct

from slts.audio.stoi import short_time_intelligibility, to_10_khz


def voiced(seed: int, count: int = 32000) -> np.ndarray:
    """Modulated noise without pauses, so that pystoi removes no frame."""
    rng = np.random.RandomState(seed)
    envelope = np.interp(np.arange(count), np.arange(0, count + 800, 800), rng.uniform(0.2, 1, count // 800 + 1))
    return 0.1 * envelope * rng.standard_normal(count)


@pytest.mark.parametrize("count", [1, 7, 128, 9600, 16001, 47648])
def test_resampler_is_octaves(count):
    audio = np.random.RandomState(count).standard_normal((2, count))
    expected = np.stack([resample_oct(row, 10000, 16000) for row in audio])
    resampled = to_10_khz(torch.from_numpy(audio)).numpy()
    assert resampled.shape == expected.shape
    np.testing.assert_allclose(resampled, expected, atol=1e-12)


@pytest.mark.parametrize("extended", [False, True])
def test_batch_agrees_with_pystoi_where_no_frame_is_silent(extended):
    references = [voiced(seed) for seed in range(4)]
    generated = [x + scale * voiced(9) for x, scale in zip(references, (0.0, 0.3, 1.0, 4.0), strict=True)]
    expected = [pystoi.stoi(x, y, 16000, extended=extended) for x, y in zip(references, generated, strict=True)]
    scores = short_time_intelligibility(
        torch.tensor(np.stack(references)), torch.tensor(np.stack(generated)), extended=extended
    )
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-4)
    assert scores[0] > scores[1] > scores[2] > scores[3]


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-8, 1.0, 1e3])
def test_gradients_are_finite_where_either_is_silent(extended, scale):
    reference = torch.tensor(np.stack([voiced(0, 9600), np.zeros(9600)])).float()
    generated = (scale * torch.tensor(np.stack([voiced(1, 9600), voiced(2, 9600)])).float()).requires_grad_()
    scores = short_time_intelligibility(reference, generated, extended)
    scores.sum().backward()
    assert scores.isfinite().all() and generated.grad.isfinite().all()
    assert (generated.grad[0].abs().max() > 0) == (scale >= 1e-4)


def test_ascent_raises_the_score():
    reference = torch.tensor(voiced(0, 9600)).float()[None]
    generated = torch.tensor(voiced(1, 9600)).float()[None].requires_grad_()
    optimiser = torch.optim.Adam([generated], 1e-2)
    first = short_time_intelligibility(reference, generated).item()
    for _ in range(8):
        optimiser.zero_grad()
        (1 - short_time_intelligibility(reference, generated)).mean().backward()
        optimiser.step()
    assert short_time_intelligibility(reference, generated).item() > first + 0.1


def test_needs_thirty_frames_and_equal_shapes():
    assert short_time_intelligibility(torch.rand(2, 6554), torch.rand(2, 6554)).shape == (2,)
    with pytest.raises(ValueError, match=r"0\.41 s"):
        short_time_intelligibility(torch.rand(2, 6553), torch.rand(2, 6553))
    with pytest.raises(ValueError, match="equal shapes"):
        short_time_intelligibility(torch.rand(2, 9600), torch.rand(1, 9600))
