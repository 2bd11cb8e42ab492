"""What is found of one video: the course of its offset, how sure that is, or why it cannot be told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import binom

from slts.data.clip import Reject
from slts.offsets.course import Course, chance_of_agreement, fit_course
from slts.offsets.curve import OffsetCurve, VideoEstimator, Window, measure_window, offset_curve

WRONG_TOLD = 0.02
"""Share of windows with a wrong sound that come above a system's threshold, see GivesOffsets.sure_above."""
NEAR_MS = 40.0
"""Windows this near to the course agree with it."""
CHANCE = 0.05
"""A course is sure where a wrong sound would give one as good with less than this probability."""
AGREE_FROM = 4
"""Windows from which on their agreement tells something."""
STEP = 0.5
"""Seconds from window to window where the place of a jump is looked for."""
PLACING = 0.6
"""Length of these windows in those of the curve: fewer of them lie across the jump, and most still tell an offset."""


@dataclass(frozen=True)
class Finding:
    """Of one video."""

    video: Path
    key: str
    """Its name in tables."""
    curve: OffsetCurve | None = None
    """None where the file cannot be read."""
    course: Course | None = None
    """None where the offset cannot be told."""
    sure: bool = False
    """Whether a wrong sound would give this with a probability of less than CHANCE."""
    cannot_tell: str | None = None
    """Why there is no course: ``silence: ...``, ``no_face: ...``, ``unsure: ...``."""

    @property
    def confidence(self) -> float | None:
        """Mean over the windows that tell an offset, else over all that were compared."""
        windows = (self.curve.told or self.curve.windows) if self.curve else ()
        known = [window.confidence for window in windows if window.confidence is not None]
        return float(np.mean(known)) if known else None

    @property
    def offset_ms(self) -> float | None:
        """Mean over time; positive where the video lags the audio."""
        return None if self.course is None else self.course.mean_ms

    def row(self) -> dict:
        """The columns of a table of offsets."""
        distances = [w.distance for w in self.curve.windows if w.distance is not None] if self.curve else []
        course = self.course
        return {
            "key": self.key,
            "offset_ms": _rounded(self.offset_ms, 1),
            "confidence": _rounded(self.confidence, 4),
            "at_edge": (self.cannot_tell or "").startswith("beyond"),
            "sure": self.sure,
            **({"distance": round(float(np.mean(distances)), 4)} if distances else {}),
            "course": course and course.kind,
            "drift_ms_per_minute": course and round(course.drift, 2),
            "jumps": course and len(course.jumps),
            "cannot_tell": self.cannot_tell,
        }

    def facts(self) -> dict:
        """What a program is told, as JSON holds it: ``row`` with the course and the windows."""
        course, curve = self.course, self.curve
        found = self.row() | {"file": str(self.video), "seconds": curve and round(curve.length, 3)}
        if course:
            found |= {
                "offsets_ms": [round(value, 1) for value in course.extremes],
                "clock_ratio": round(course.clock_ratio, 8),
                "jumps": [
                    {"seconds": round(place, 2), "from_ms": round(before, 1), "to_ms": round(after, 1)}
                    for place, before, after in course.jumps
                ],
            }
        found["windows"] = [
            {
                "seconds": round(window.seconds, 3),
                "offset_ms": _rounded(window.offset_ms, 1),
                "confidence": _rounded(window.confidence, 4),
                **({"cannot_tell": window.reason} if window.reason else {}),
            }
            for window in (curve.windows if curve else ())
        ]
        return found


def find_offset(
    estimator: VideoEstimator,
    video: Path,
    key: str | None = None,
    note: Callable[[str], None] = print,
    progress: bool = True,
) -> Finding:
    """Measures a video. What it cannot be told for, a file that cannot be read among it, is said in the finding.

    Without a threshold for its confidence (``VideoEstimator.threshold``) a system's offset of less than AGREE_FROM
    windows is given, and is not sure.
    """
    key = video.stem if key is None else key
    try:
        curve = offset_curve(estimator, video, note, progress)
    except Reject as reject:
        return Finding(video, key, cannot_tell=str(reject))
    told = curve.told
    if not told:
        reason, detail = curve.usual_reason()
        return Finding(video, key, curve, cannot_tell=f"{reason}: {detail}")
    course = _fitted(told, curve.length)
    chance = _chance(curve, course, estimator)
    sure = chance < CHANCE
    if not sure and (estimator.threshold is not None or len(told) >= AGREE_FROM):
        windows = f"{len(told)} of {len(curve.windows)} windows tell an offset, and {_agreeing(told, course)} agree"
        return Finding(video, key, curve, cannot_tell=f"unsure: {windows}; a wrong sound may give as much")
    if course.jumps:
        course = _placed(estimator, video, curve, course)
    return Finding(video, key, curve, course, sure)


def _fitted(told: list[Window], length: float) -> Course:
    columns = [(window.seconds, window.offset_ms, max(window.confidence, 1e-3)) for window in told]
    return fit_course(*np.array(columns).T, length)


def _agreeing(told: list[Window], course: Course) -> int:
    seconds, offsets = np.array([(window.seconds, window.offset_ms) for window in told]).T
    return int((np.abs(offsets - course.at(seconds)) <= NEAR_MS).sum())


def _chance(curve: OffsetCurve, course: Course, estimator: VideoEstimator) -> float:
    """Probability, at most, that a wrong sound gives as many windows and as much agreement."""
    own = min(1.0, curve.hop / curve.window)  # of a window that overlaps, a part is its own
    compared = [window for window in curve.windows if window.confidence is not None]
    told, agreeing, count = (
        max(1, round(own * n)) for n in (len(curve.told), _agreeing(curve.told, course), len(compared))
    )
    above = 1.0 if estimator.threshold is None else float(binom.sf(told - 1, count, WRONG_TOLD))
    reach = max(window.reach_ms for window in compared)
    return above * chance_of_agreement(told, agreeing, NEAR_MS / reach, course.free)


def _placed(estimator: VideoEstimator, video: Path, curve: OffsetCurve, course: Course) -> Course:
    """The course with the place of each jump measured by windows a small step apart around it.

    A window across a jump tells the offset of the longer part of it, so that windows change sides where their middle
    crosses the jump.
    """
    pieces, seconds_each = list(course.pieces), PLACING * curve.window
    for number, (place, before, after) in enumerate(course.jumps):
        around = np.arange(place - curve.window, place + curve.window + STEP / 2, STEP) - seconds_each / 2
        starts = around[(around >= 0) & (around <= curve.length - seconds_each)]
        measured = [measure_window(estimator, video, start, seconds_each, lambda _: None) for start in starts]
        told = [window for window in measured if window.offset_ms is not None]
        if not told:
            continue
        seconds, offsets = np.array([(window.seconds, window.offset_ms) for window in told]).T
        # What is nearer to the offset before belongs before the jump: the least absolute error in all, each at most
        # as large as the jump.
        size = abs(after - before)
        cost_before = np.abs(offsets - before).clip(max=size)
        cost_after = np.abs(offsets - after).clip(max=size)
        costs = np.concatenate([[0], np.cumsum(cost_before)]) + np.concatenate([np.cumsum(cost_after[::-1])[::-1], [0]])
        least = np.flatnonzero(costs <= costs.min() + 1e-9)
        edges = np.concatenate([[seconds[0] - STEP / 2], (seconds[:-1] + seconds[1:]) / 2, [seconds[-1] + STEP / 2]])
        found = float(np.mean(edges[least]))
        first, second = pieces[number], pieces[number + 1]
        if first.start < found < second.end:
            pieces[number] = replace(first, end=found)
            moved = second.at_start_ms + course.drift / 60 * (found - second.start)
            pieces[number + 1] = replace(second, start=found, at_start_ms=moved)
    assert all(a.end == b.start for a, b in pairwise(pieces))
    return replace(course, pieces=tuple(pieces))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
