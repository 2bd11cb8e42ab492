"""The Frechet distance against hand-computed Gaussians."""

import numpy as np
import pytest

from slts.metrics.frechet import Moments, frechet_distance, sum_of


def moments(*pieces: np.ndarray) -> Moments:
    found = Moments(pieces[0].shape[1])
    for rows in pieces:
        found.add(rows)
    return found


def test_moments_stream():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    for found in (moments(rows[:20], rows[20:]), sum_of([moments(rows[:5]), moments(rows[5:20], rows[20:])])):
        np.testing.assert_allclose(found.mean, rows.mean(0))
        np.testing.assert_allclose(found.covariance, np.cov(rows.T))


def test_by_hand():
    # Variances 2 and 8 with means 0 and 3: 9 + 2 + 8 - 2 sqrt(16) = 11.
    a, b = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(11)
    rows = np.random.default_rng(1).normal(size=(200, 4))
    assert frechet_distance(moments(rows), moments(rows)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(moments(a[:1]), moments(b)) is None
