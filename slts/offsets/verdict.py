"""PASS, FAIL or CANNOT TELL of an offset against the limits of those who deliver video.

The documents speak of the sound. Sound that is early is a video that lags, an offset above 0.
"""

from dataclasses import dataclass

import numpy as np

from slts.offsets.course import Course

PASS, FAIL, CANNOT_TELL = "PASS", "FAIL", "CANNOT TELL"


@dataclass(frozen=True)
class Limits:
    """How early and how late the sound may be, ms, both included."""

    early: float
    late: float
    source: str

    def __str__(self) -> str:
        return f"{self.source}: sound at most {self.early:g} ms early and {self.late:g} ms late"


STANDARDS = {
    "ebu_r37": Limits(40, 60, "EBU R 37 (2007), at the output that feeds transmitters"),
    "atsc": Limits(15, 45, "ATSC IS-191 (2003), at the inputs of the encoder"),
    "itu_bt1359": Limits(90, 185, "ITU-R BT.1359-1 (1998), recommends 2 and the threshold of acceptability"),
}


@dataclass(frozen=True)
class Verdict:
    """Of one video."""

    word: str
    """PASS, FAIL or CANNOT_TELL."""
    worst_ms: float | None = None
    """The offset that is nearest to a limit, or furthest beyond it."""
    stretches: tuple[tuple[float, float], ...] = ()
    """Seconds from and to, beyond the limits."""


def judge(course: Course | None, sure: bool, limits: Limits) -> Verdict:
    """Passes where the whole course is within the limits; where nobody is sure of it, nothing is told."""
    if course is None or not sure:
        return Verdict(CANNOT_TELL)
    least, largest = course.extremes
    worst = largest if largest / limits.early >= -least / limits.late else least
    stretches = _beyond(course, limits)
    return Verdict(FAIL if stretches else PASS, round(worst, 1), stretches)


def _beyond(course: Course, limits: Limits) -> tuple[tuple[float, float], ...]:
    """Where each piece leaves the limits; a constant offset does so all along."""
    found = []
    for piece in course.pieces:
        slope = course.drift / 60
        ends = np.array([piece.start, piece.end])
        if not slope:
            if not -limits.late <= piece.at_start_ms <= limits.early:
                found.append((piece.start, piece.end))
            continue
        crossings = piece.start + (np.array([-limits.late, limits.early]) - piece.at_start_ms) / slope
        inside = np.sort(crossings).clip(*ends)
        found += [(a, b) for a, b in ((ends[0], inside[0]), (inside[1], ends[1])) if b > a]
    joined: list[list[float]] = []
    for a, b in found:
        if joined and a <= joined[-1][1]:
            joined[-1][1] = float(b)
        else:
            joined.append([float(a), float(b)])
    return tuple((round(a, 2), round(b, 2)) for a, b in joined)
