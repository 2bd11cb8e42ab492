import numpy as np
import pytest

from slts.metrics.offsets import offset_agreement


def test_by_hand():
    """y = 0, 10, 20, 30: squares about the mean sum to 500. Errors 5, 5, 5, 25 sum to 700, about their mean to 300."""
    report = offset_agreement([0, 10, 20, 30], [5, 15, 25, 55])
    assert report == pytest.approx(
        {"r2": 1 - 700 / 500, "r2_centred": 1 - 300 / 500, "bias_ms": 10, "mae_ms": 10, "within_10ms": 0.75}
    )


def test_a_constant_lag_costs_r2_but_not_the_centred_one():
    report = offset_agreement([-80, 0, 40], [-100, -20, 20])
    assert report["r2_centred"] == pytest.approx(1)
    assert report["r2"] == pytest.approx(1 - 1200 / np.square(np.array([-80, 0, 40]) + 40 / 3).sum())
    assert (report["bias_ms"], report["mae_ms"], report["within_10ms"]) == (-20, 20, 0)


def test_predicting_zero_for_offsets_with_mean_zero_gives_zero():
    assert offset_agreement([-20, 20, -40, 40], [0, 0, 0, 0])["r2"] == 0


def test_r2_takes_the_spread_of_the_reference():
    """Swapping the arguments changes R2: the denominator belongs to y."""
    assert offset_agreement([0, 100], [0, 50])["r2"] == pytest.approx(0.5)
    assert offset_agreement([0, 50], [0, 100])["r2"] == pytest.approx(-1)


def test_within_counts_exactly_ten():
    assert offset_agreement([0.0, 0.3], [10.0, 0.1 + 0.2 + 10.0])["within_10ms"] == 1


def test_constant_reference_has_no_r2():
    report = offset_agreement([0.1, 0.1, 0.1], [0, 0, 10])
    assert report["r2"] is None and report["r2_centred"] is None
    assert report["mae_ms"] == pytest.approx(10.1 / 3)


@pytest.mark.parametrize(("y", "d"), [([], []), ([1, 2], [1]), ([1, np.nan], [1, 2]), ([[1, 2]], [[1, 2]])])
def test_bad_offsets(y, d):
    with pytest.raises(ValueError, match="offsets"):
        offset_agreement(y, d)
