"""The matching network's profiles: sign, scale and time."""

import pytest
import torch
import torch.nn.functional as F

from slts.systems.matching.network import MatchingNetwork, peak, products, profile, profiles_across


def embeddings(count: int, length: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, length, 16, generator=generator), dim=-1)


@pytest.mark.parametrize("lag", [-7, 0, 4])
def test_a_picture_that_lags_by_k_has_its_profile_highest_at_plus_k(lag):
    whole = embeddings(3, 140)
    sound, lips = whole[:, 20:120], whole[:, 20 - lag : 120 - lag]  # what is heard at i is seen at i + lag
    curve = profile(lips, sound, torch.tensor([100, 90, 60]), 12)
    assert curve.shape == (3, 25)
    assert (curve.argmax(1) - 12).tolist() == [lag] * 3
    assert curve.amax(1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def test_what_pads_a_shorter_clip_is_not_counted():
    lips, sound = embeddings(2, 50), embeddings(2, 50, seed=1)
    frames = torch.tensor([50, 30])
    alone = profile(lips[1:, :30], sound[1:, :30], frames[1:], 6)
    assert torch.allclose(profile(lips, sound, frames, 6)[1], alone[0], atol=1e-6)


def test_profiles_across_clips_are_the_mean_products_of_each_pair():
    lips, sound = embeddings(3, 40), embeddings(3, 40 + 2 * 5, seed=1)
    every = profiles_across(lips, sound)
    assert every.shape == (3, 3, 11)
    for i in range(3):
        for j in range(3):
            pair = products(lips[i : i + 1], sound[j : j + 1], 5).mean(1)[0]
            assert torch.allclose(every[i, j], pair, atol=1e-6)


@pytest.mark.parametrize("top", [-8.3, -0.25, 0.0, 3.4])
def test_a_peak_between_two_steps_is_found_there(top):
    steps = torch.arange(-10, 11).float()
    assert float(peak(-(steps - top).square()[None])) == pytest.approx(top, abs=1e-3)


def test_a_peak_at_the_end_of_the_range_stays_in_it():
    assert abs(float(peak(torch.arange(21.0)[None]))) <= 10


@pytest.mark.parametrize("rate", [24.0, 30.0])
def test_pictures_of_any_rate_are_embedded_by_their_time(rate):
    video = torch.zeros(1, 60, 1, 16, 16)
    shown, changed = 30, torch.zeros(200)
    video[:, shown] = 3.0
    for seed in range(20):  # a network without training may react earlier or later, many do not on average
        torch.manual_seed(seed)
        network = MatchingNetwork(view=16, width=2, hidden=8, embedding=4, dropout=0.0).eval()
        with torch.no_grad():
            lips, still = (network.see(v, torch.tensor([60]), torch.tensor([rate]), 200) for v in (video, 0 * video))
        change = (lips - still).abs().sum(-1)[0]
        changed += change / change.sum()
    middle = float((changed * torch.arange(200)).sum() / changed.sum())
    assert middle == pytest.approx(100 * shown / rate, abs=2)


def test_skipped_pictures_change_nothing_in_the_middle():
    torch.manual_seed(0)
    network = MatchingNetwork(view=16, width=2, hidden=8, embedding=4, dropout=0.0).eval()
    video = torch.randn(2, 50, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    frames, fps = torch.tensor([50, 50]), torch.tensor([25.0, 25.0])
    with torch.no_grad():
        whole = network.see(video, frames, fps, 200)
        part = network.see(video, frames, fps, 200, skip=5)
    inner = slice(4 * 8 + network.reach, 200 - 4 * 8 - network.reach)  # the stem sees two pictures on either side
    assert torch.allclose(whole[:, inner], part[:, inner], atol=1e-5)
    assert not torch.allclose(whole[:, :20], part[:, :20], atol=1e-5)
