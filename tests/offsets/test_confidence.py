"""Evidence of profiles, the logistic calibration, and figures of people held out."""

import numpy as np
import pytest

from slts.offsets.confidence import EVIDENCE, REACH, Calibration, evidence, fit
from slts.offsets.held_out import calibrated, errors_ms, figures, told_by_others

RADIUS = 40


def profiles(count: int, height: float, place: int, rng: np.random.Generator) -> np.ndarray:
    """Chance of deviation 0.02 and a peak of some frames' width."""
    shifts = np.arange(-REACH, REACH + 1)
    return 0.02 * rng.standard_normal((count, 2 * REACH + 1)) + height * np.exp(-0.5 * ((shifts - place) / 3) ** 2)


def people(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Trials of people whose own sound gives a peak at the right place, and other sounds that give none."""
    rng = np.random.default_rng(seed)
    rows = {name: [] for name in ("person", "kind", "truth_ms", "found_ms", "evidence")}
    for person in range(count):
        for number in range(12):
            own = number < 6
            truth = int(rng.integers(-30, 31))
            curve = profiles(1, 0.3 * own, truth, rng)
            place = curve[0, REACH - RADIUS : REACH + RADIUS + 1].argmax() - RADIUS
            rows["person"].append(f"p{person}")
            rows["kind"].append("own" if own else "other")
            rows["truth_ms"].append(10.0 * truth if own else np.nan)
            rows["found_ms"].append(10.0 * place + 25)
            rows["evidence"].append(evidence(curve, profiles(1, 0, 0, rng), np.array([250]), RADIUS)[0])
    return {name: np.array(values) for name, values in rows.items()}


def test_a_peak_is_evidence_and_chance_is_none():
    rng = np.random.default_rng(0)
    frames = np.full(50, 250)
    right = evidence(profiles(50, 0.3, 12, rng), profiles(50, 0, 0, rng), frames, RADIUS)
    chance = evidence(profiles(50, 0, 0, rng), profiles(50, 0, 0, rng), frames, RADIUS)
    assert right.shape == (50, len(EVIDENCE))
    assert (right[:, :5].min(0) > chance[:, :5].max(0)).all()


def test_a_peak_beyond_the_range_speaks_against_what_is_within():
    rng = np.random.default_rng(0)
    frames = np.full(50, 250)
    chance = evidence(profiles(50, 0, 0, rng), profiles(50, 0, 0, rng), frames, RADIUS)
    beyond = evidence(profiles(50, 0.3, 70, rng), profiles(50, 0, 0, rng), frames, RADIUS)
    column = EVIDENCE.index("over_far")
    assert beyond[:, column].max() < chance[:, column].mean()


def test_the_regression_finds_the_odds():
    rng = np.random.default_rng(0)
    found = rng.standard_normal((4000, 2)) * [1, 10] + [0, 5]
    odds = 1.5 * found[:, 0] - 0.5
    right = rng.random(4000) < 1 / (1 + np.exp(-odds))
    weights, bias = fit(found, right, np.ones(4000), ridge=0.0)
    assert weights == pytest.approx([1.5, 0.0], abs=0.15) and bias == pytest.approx(-0.5, abs=0.15)
    sure = Calibration(weights, bias, 0.5, RADIUS).confidence(found)
    assert sure[sure > 0.8].min() > 0.8 and right[sure > 0.8].mean() > 0.8


def test_errors_are_about_the_median_of_the_person():
    found = people(4)
    assert np.nanmax(np.abs(errors_ms(found))) <= 20  # the common 25 ms are gone
    assert np.isnan(errors_ms(found)[found["kind"] == "other"]).all()


def test_wrong_sounds_are_not_told_and_right_ones_are():
    found = people(10)
    calibration = calibrated(found, RADIUS)
    assert calibration.constant_ms == pytest.approx(25, abs=5)
    told = told_by_others(found, RADIUS)
    table = figures(found, told, lambda person: "all")["all"]
    assert table["people"] == 10 and table["trials"] == 60
    assert table["told"] >= 0.95 and table["cannot_tell_other"] >= 0.95 and table["mae_ms"] < 10
    assert table["cannot_tell_music"] is None  # not tried


def test_where_own_sounds_reach_no_more_than_others_nothing_is_told():
    found = people(10)
    found["evidence"] = found["evidence"][np.random.default_rng(1).permutation(len(found["kind"]))]
    told = told_by_others(found, RADIUS)
    assert told.mean() < 0.1
