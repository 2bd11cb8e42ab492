import numpy as np
import pytest

from slts.data.offset_table import read_offsets
from slts.offsets.agreement import offset_agreement


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


def test_the_papers_order_of_arguments():
    """Only 1 - sum (y - d)^2 / sum (y - mean y)^2, with y from frontend or SyncNet, gives d = 0 a finite value below 0.

    y = 20, 40: squares about the mean sum to 200, y^2 to 2000, so the tabulated dummy has R2 = 1 - 10. The other order
    divides by the spread of zeros.
    """
    assert offset_agreement([20, 40], [0, 0])["r2"] == pytest.approx(-9)
    assert offset_agreement([0, 0], [20, 40])["r2"] is None


def write(file, text):
    file.write_text(text)
    return file


def test_syncnets_file_counts_above_the_threshold(tmp_path):
    file = write(
        tmp_path / "syncnet.csv", "key,offset_ms,confidence\ns1/a,40,3.0\ns1/b,-80,3.01\nc,,9\nd,0,8\n007,1,\n"
    )
    assert read_offsets(file, 3.0) == {"s1/b": -80.0, "d": 0.0}
    assert read_offsets(file) == {"s1/a": 40.0, "s1/b": -80.0, "d": 0.0, "007": 1.0}


def test_truth_has_no_confidence_and_the_frontends_offsets_are_in_the_score_table(tmp_path):
    assert read_offsets(write(tmp_path / "truth.csv", "key,offset_ms\na,-12.5\n"), 3.0) == {"a": -12.5}
    scores = "stem,stoi,frontend_offset_ms,reason\na,0.5,30.0,\nb,,,no generated file\n"
    assert read_offsets(write(tmp_path / "scores.csv", scores), 3.0) == {"a": 30.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,lag\na,1\n", "no column offset_ms"),
        ("key,offset_ms\na,1\nb,late\n", "line 3: offset_ms is not a number"),
        ("key,offset_ms\na,inf\n", "line 2: offset_ms is not a number"),
        ("key,offset_ms\na,1\na,2\n", "line 3: key a is there twice"),
    ],
)
def test_bad_offset_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_offsets(write(tmp_path / "offsets.csv", text))
