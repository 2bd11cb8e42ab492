"""Limits of the standards with their signs, and the stretches that are beyond."""

import pytest

from slts.offsets.course import Course, Piece
from slts.offsets.verdict import STANDARDS, judge


def constant(ms: float) -> Course:
    return Course((Piece(0, 60, ms),), 0.0, 1.0, 5.0)


@pytest.mark.parametrize(
    ("standard", "early", "late"), [("ebu_r37", 40, 60), ("atsc", 15, 45), ("itu_bt1359", 90, 185)]
)
def test_sound_may_be_later_than_early(standard, early, late):
    limits = STANDARDS[standard]
    # A video that lags the audio, an offset above 0, has its sound early.
    for ms, word in ((early, "PASS"), (early + 1, "FAIL"), (-late, "PASS"), (-late - 1, "FAIL"), (0, "PASS")):
        assert judge(constant(ms), True, limits).word == word
    assert f"{early:g} ms early and {late:g} ms late" in str(limits)


def test_what_is_not_sure_is_not_judged():
    limits = STANDARDS["ebu_r37"]
    for course, sure in ((None, False), (constant(300), False), (constant(0), False)):
        verdict = judge(course, sure, limits)
        assert verdict.word == "CANNOT TELL" and verdict.worst_ms is None


def test_a_drift_fails_from_where_it_crosses_a_limit():
    verdict = judge(Course((Piece(0, 180, -90.0),), 60.0, 1.0, 5.0), True, STANDARDS["ebu_r37"])
    # -90 ms at 0 s and 90 ms at 180 s: within -60..40 from 30 s to 130 s.
    assert verdict.word == "FAIL" and verdict.stretches == ((0, 30), (130, 180)) and verdict.worst_ms == 90
    assert judge(Course((Piece(0, 60, -30.0),), 60.0, 1.0, 5.0), True, STANDARDS["ebu_r37"]).word == "PASS"
    away = judge(Course((Piece(0, 60, 100.0),), 6.0, 1.0, 5.0), True, STANDARDS["ebu_r37"])
    assert away.stretches == ((0, 60),)


def test_a_jump_fails_on_its_side():
    jumping = Course((Piece(0, 90, -50.0), Piece(90, 180, 110.0)), 0.0, 1.0, 5.0)
    verdict = judge(jumping, True, STANDARDS["ebu_r37"])
    assert verdict.stretches == ((90, 180),) and verdict.worst_ms == 110
    assert judge(jumping, True, STANDARDS["itu_bt1359"]).worst_ms == 110  # 20 ms beyond, of 90
