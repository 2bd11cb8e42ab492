import numpy as np
import pytest

from slts.offsets.profiles import PROFILES, draw_offset_ms


@pytest.mark.parametrize(
    "profile, low, high, mean, spread",
    [("jitter", -40, 40, 0, 23.4), ("lagged", -200, 40, -80, 69.6), ("chess", -250, -200, -225, 14.7)],
)
def test_offsets_fill_their_range_evenly(profile, low, high, mean, spread):
    rng = np.random.default_rng(1)
    drawn = np.array([draw_offset_ms(profile, rng) for _ in range(20000)])
    assert (drawn.min(), drawn.max()) == (low, high)
    assert abs(drawn.mean() - mean) < 2
    assert abs(drawn.std() - spread) < 1


def test_none_is_zero_and_draws_are_whole():
    rng = np.random.default_rng(1)
    assert [draw_offset_ms("none", rng) for _ in range(5)] == [0] * 5
    assert all(type(draw_offset_ms(profile, rng)) is int for profile in PROFILES)
