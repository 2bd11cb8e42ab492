"""The prior of a corpus against cases that can be counted by hand, and against drawn offsets."""

import numpy as np
import pytest

from slts.offsets.prior import ANYWHERE, corpus_prior, most_likely, with_prior

RADIUS = 30


def bumps(places: np.ndarray, width: float = 1.0) -> np.ndarray:
    shifts = np.arange(-RADIUS, RADIUS + 1)
    heights = np.exp(-0.5 * ((shifts - np.asarray(places)[:, None]) / width) ** 2)
    return heights / heights.sum(1, keepdims=True)


def test_bayes_by_hand():
    posterior = with_prior(np.array([[0.2, 0.3, 0.5]]), np.array([0.5, 0.4, 0.1]))
    assert posterior == pytest.approx(np.array([[10, 12, 5]]) / 27)


def test_a_place_between_frames_is_the_mean_around_the_highest():
    distribution = np.zeros((1, 2 * RADIUS + 1))
    distribution[0, RADIUS + 3 : RADIUS + 6] = 0.4, 0.4, 0.1
    distribution[0, 0] = 0.1  # far away, which does not count
    (place,), (near,) = most_likely(distribution)
    assert place == pytest.approx((3 * 0.4 + 4 * 0.4 + 5 * 0.1) / 0.9) and near == pytest.approx(0.8)


def test_clips_that_tell_nothing_are_where_the_others_are():
    rng = np.random.default_rng(0)
    truth = rng.normal(-8, 3, 200).round()
    clear = bumps(truth)
    flat = np.arange(200) % 4 == 0
    clear[flat] = 1 / clear.shape[1]
    # Of another quarter the highest place is a wrong one, far away and hardly higher.
    torn = np.arange(200) % 4 == 1
    clear[torn] = 0.49 * bumps(truth)[torn] + 0.51 * bumps(truth + 24)[torn]
    prior = corpus_prior(clear)
    assert prior.sum() == pytest.approx(1) and prior.min() >= ANYWHERE / len(prior) * 0.999
    assert abs((prior * np.arange(-RADIUS, RADIUS + 1)).sum() + 8) < 1.5
    before, _ = most_likely(clear)
    after, sure = most_likely(with_prior(clear, prior))
    assert np.abs(before - truth)[torn].min() > 20
    assert np.abs(after - truth)[torn].max() < 2 and np.abs(after - truth)[~flat & ~torn].max() < 1
    assert np.abs(after + 8)[flat].max() < 2 and sure[flat].max() < 0.6, "no more is claimed than the corpus tells"


def test_a_corpus_of_two_offsets_keeps_both():
    prior = corpus_prior(bumps(np.repeat([-20, 10], 50)))
    middle = prior[RADIUS - 8 : RADIUS]
    assert min(prior[RADIUS - 20], prior[RADIUS + 10]) > 20 * middle.max()
