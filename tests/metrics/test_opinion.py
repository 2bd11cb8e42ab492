import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, t

from slts.metrics.opinion import (
    crossed_interval,
    opinion_differences,
    opinion_score,
    opinion_table,
    read_ratings,
    wilson_interval,
)


def ratings_with_sum(total: int) -> np.ndarray:
    """120 ratings of 1 ... 5 that add up to total and lie as close together as they can."""
    low, more = divmod(total, 120)
    return np.repeat([low, low + 1], [120 - more, more])


def test_by_hand():
    """1, 2, 3: s = 1, t(.975, 2) = 4.30265, half-width 4.30265 / sqrt(3)."""
    mean, half = opinion_score([1, 2, 3])
    assert (mean, half) == (2, pytest.approx(4.302653 / np.sqrt(3), abs=1e-6))


def test_table_4s_real_voice():
    """12 raters x 10 clips with three ratings of 4 and 117 of 5: mean 4.975, interval 0.028 as in the paper."""
    scores = ratings_with_sum(597)
    mean, half = opinion_score(scores)
    assert (round(mean, 3), round(half, 3)) == (4.975, 0.028)
    assert mean * 120 == pytest.approx(597)
    # One more or one less 4 misses the digit, and so does the normal quantile in place of Student's t.
    assert {round(opinion_score(ratings_with_sum(total))[1], 3) for total in (596, 598)}.isdisjoint({0.028})


@pytest.mark.parametrize("scores", [[1, 5, 3, 3, 4], ratings_with_sum(431)])
def test_is_scipys_interval(scores):
    mean, half = opinion_score(scores)
    low, high = t.interval(0.95, len(scores) - 1, np.mean(scores), np.std(scores, ddof=1) / np.sqrt(len(scores)))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_one_rating_has_no_interval_and_none_is_an_error():
    assert opinion_score([4]) == (4.0, None)
    for scores in ([], [1, np.nan], [[1, 2]]):
        with pytest.raises(ValueError, match="ratings"):
            opinion_score(scores)


def test_table_counts_raters_and_clips(tmp_path):
    file = tmp_path / "ratings.csv"
    rows = [(3 + r, "naturalness", s, c, r) for r in (0, 1) for c in "ab" for s in ("slts", "real")]
    rows.append((5, "intelligibility", "slts", "a", 0))
    pd.DataFrame(rows, columns=["score", "aspect", "system", "clip", "rater"]).to_csv(file, index=False)
    table = opinion_table(read_ratings(file))
    assert [(row["aspect"], row["system"]) for row in table] == [
        ("naturalness", "slts"),
        ("naturalness", "real"),
        ("intelligibility", "slts"),
    ]
    assert {k: table[0][k] for k in ("mean", "ratings", "raters", "clips")} == {
        "mean": 3.5,
        "ratings": 4,
        "raters": 2,
        "clips": 2,
    }
    assert table[0]["interval"] == pytest.approx(opinion_score([3, 3, 4, 4])[1]) and table[2]["interval"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rater,clip,system,score\n1,a,s,3\n", "no column aspect"),
        ("rater,clip,system,aspect,score\n", "no ratings"),
        ("rater,clip,system,aspect,score\n1,a,s,n,3\n1,b,s,n,good\n", "line 3"),
        ("rater,clip,system,aspect,score\n1,a,s,n,\n", "line 2"),
        ("rater,clip,system,aspect,score\n1,a,s,n,3\n1,a,s,n,4\n", "line 3: this rater has rated"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "ratings.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_ratings(tmp_path / "ratings.csv")


def test_ratings_that_depend_on_the_rater_alone_have_the_interval_of_raters():
    """Twelve raters who give every clip their own score: 120 ratings know no more than 12."""
    own = np.random.default_rng(0).normal(3, 1, 12)
    scores = np.repeat(own[:, None], 10, axis=1)
    low, high = crossed_interval(scores)
    assert (high - low) / 2 == pytest.approx(1.96 * own.std() / np.sqrt(12), rel=0.05)
    assert (high - low) / 2 > 2.5 * opinion_score(scores.ravel())[1]
    assert crossed_interval(scores.T) == pytest.approx((low, high), abs=0.1)
    assert crossed_interval(scores[:1]) == crossed_interval(scores[:, :1]) == (None, None)


def test_clips_that_a_rater_left_out_do_not_count():
    scores = np.random.default_rng(1).integers(1, 6, (12, 10)).astype(float)
    scores[:6, 0] = np.nan
    low, high = crossed_interval(scores)
    assert low < np.nanmean(scores) < high


@pytest.mark.parametrize(("chosen", "n"), [(0, 10), (5, 10), (41, 120), (120, 120)])
def test_wilsons_interval_is_scipys(chosen, n):
    theirs = binomtest(chosen, n).proportion_ci(method="wilson")
    assert wilson_interval(chosen / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_differences_are_of_the_same_rater_and_clip():
    """Raters differ by 2 and clips by 1, the systems by exactly 1: paired, nothing of that is left."""
    rows = [
        (rater, clip, system, "naturalness", score + 2 * rater + clip)
        for rater in (0, 1)
        for clip in (0, 1)
        for system, score in (("ours", 1), ("theirs", 0))
    ]
    rows += [(2, 0, "ours", "naturalness", 5), (0, 0, "ours", "sync", 4)]  # without a partner
    (row,) = opinion_differences(pd.DataFrame(rows, columns=["rater", "clip", "system", "aspect", "score"]))
    assert (row["system"], row["minus"], row["mean"], row["pairs"]) == ("ours", "theirs", 1, 4)
    assert (row["interval"], row["low"], row["high"]) == (0, 1, 1)


def test_who_did_not_pass_is_read(tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text("rater,clip,system,aspect,score,passed\n1,a,s,n,3,1\n2,a,s,n,3,0\n")
    assert read_ratings(file)["passed"].tolist() == [True, False]
    file.write_text("rater,clip,system,aspect,score\n1,a,s,n,3\n")
    assert read_ratings(file)["passed"].tolist() == [True]
