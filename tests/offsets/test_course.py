"""Courses fitted to simulated curves with noise, gross errors and gaps."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.offsets.course import chance_of_agreement, fit_course


def curve(seed: int, *, base: float, drift: float = 0.0, jump: float = 0.0, hop: float = 2.0):
    """Three minutes measured every ``hop`` s with 12 ms of noise, 20 % gross errors and 20 s without a face."""
    rng = np.random.default_rng(seed)
    t = np.arange(2.5, 178, hop)
    t = t[(t < 40) | (t > 60)]
    truth = base + drift * t / 60 + jump * (t > 100)
    wrong = rng.random(len(t)) < 0.2
    found = np.where(wrong, rng.uniform(-250, 250, len(t)), truth + rng.normal(0, 12, len(t)))
    weight = np.where(wrong, rng.uniform(0.1, 0.6, len(t)), rng.uniform(0.3, 0.9, len(t)))
    return t, found, weight, truth


@settings(max_examples=15, deadline=None, derandomize=True)  # of noise: a rare draw hides what is asked for
@given(seed=st.integers(0, 10**6), base=st.floats(-80, 60))
def test_a_constant_is_one(seed, base):
    t, found, weight, _ = curve(seed, base=base)
    course = fit_course(t, found, weight, 180)
    assert course.kind == "constant" and course.clock_ratio == 1 and course.jumps == []
    assert course.mean_ms == pytest.approx(base, abs=10) and course.extremes == pytest.approx((course.mean_ms,) * 2)
    assert course.agreeing > 0.6


@settings(max_examples=15, deadline=None, derandomize=True)  # of noise: a rare draw hides what is asked for
@given(seed=st.integers(0, 10**6), sign=st.sampled_from([-1, 1]))
def test_a_drift_of_40_ms_a_minute_is_found_within_10_ms(seed, sign):
    t, found, weight, truth = curve(seed, base=-60 * sign, drift=40 * sign)
    course = fit_course(t, found, weight, 180)
    assert course.kind == "drift" and course.clock_ratio == pytest.approx(1 + sign * 40 / 60000, abs=2e-4)
    assert np.abs(course.at(t) - truth).mean() < 10 and np.abs(course.at(t) - truth).max() < 20


def test_a_jump_of_160_ms_is_found_within_10_ms_and_mostly_where_it_is():
    placed = []
    for seed, sign in itertools.product(range(40), (-1, 1)):
        t, found, weight, _ = curve(seed, base=-60 * sign, jump=160 * sign)
        course = fit_course(t, found, weight, 180)
        where, before, after = max(course.jumps, key=lambda jump: abs(jump[2] - jump[1]))
        assert (before, after) == (pytest.approx(-60 * sign, abs=15), pytest.approx(100 * sign, abs=15))
        placed.append(abs(where - 100))
    # Gross errors beside the jump hide its place for some measurements; refinement measures again there.
    assert np.median(placed) <= 1 and np.mean(np.array(placed) <= 4.1) >= 0.95


def test_drift_and_jump_together_are_told_apart():
    t, found, weight, truth = curve(3, base=60, drift=40, jump=-160, hop=1.0)
    course = fit_course(t, found, weight, 180)
    assert course.kind == "drift and jumps" and course.drift == pytest.approx(40, abs=5)
    assert len(course.jumps) == 1 and np.median(np.abs(course.at(t) - truth)) < 10
    assert course.extremes[0] == pytest.approx(-33, abs=15) and course.extremes[1] == pytest.approx(127, abs=15)


def test_the_clocks_of_25_and_24_975_pictures_are_known():
    t = np.arange(2.5, 240, 5.0)
    course = fit_course(t, -100 + 1000 * t * (25 / 24.975 - 1), np.ones(len(t)), 240)
    assert course.drift == pytest.approx(60.06, abs=0.1) and course.clock_ratio == pytest.approx(25 / 24.975, abs=2e-6)


def test_weights_decide_which_of_two_levels_is_meant():
    rng = np.random.default_rng(0)
    found = np.tile([-40.0, 80.0], 20) + rng.normal(0, 5, 40)
    for which, level in ((0, -40), (1, 80)):
        weight = np.where(np.arange(40) % 2 == which, 0.9, 0.2)
        course = fit_course(np.arange(40.0), found, weight, 40)
        assert course.kind == "constant" and course.mean_ms == pytest.approx(level, abs=10)


def test_few_measurements_are_a_constant_and_none_is_an_error():
    assert fit_course([2], [35], [1], 4).mean_ms == pytest.approx(35)
    assert fit_course([1, 3, 5], [-40, 0, 40], [1, 1, 1], 6).kind == "constant"
    assert fit_course(np.arange(20.0), np.arange(20.0) * 10, np.ones(20), 20, moving=False).kind == "constant"
    for bad in ([], [np.nan]):
        with pytest.raises(ValueError, match="at least one"):
            fit_course(range(len(bad)), bad, [1] * len(bad), 1)


def test_random_offsets_agree_only_by_chance():
    rng = np.random.default_rng(1)
    taken = 0
    for _ in range(200):
        found = rng.uniform(-250, 250, 12)
        agreeing = max(int((np.abs(found - one) <= 40).sum()) for one in found)
        taken += chance_of_agreement(12, agreeing, 40 / 250) < 0.05
    assert taken <= 14
    assert chance_of_agreement(12, 10, 0.16) < 1e-4 and chance_of_agreement(1, 1, 0.16) == 1
    assert chance_of_agreement(12, 10, 0.16, free=3) > chance_of_agreement(12, 10, 0.16)
