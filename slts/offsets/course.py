"""How an offset goes over time: constant, drifting with a clock, or jumping at edits, fitted to a noisy curve.

The offset is piecewise linear with one slope in all pieces: a clock that runs at another rate does so throughout, an
edit moves what follows. The pieces are found by dynamic programming over a grid of levels (a Potts model, exact for a
given slope), under a loss that a gross error cannot exceed; how many there are and whether there is a slope is decided
by the Bayesian information criterion (Schwarz 1978), for jumps with Zhang and Siegmund's (2007) dearer penalty.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import binom

LEVEL_MS = 5.0
"""Distance of the levels that are tried."""
STEEPEST = 200.0
"""Largest drift that is looked for, ms a minute: three times that of 25 against 24.975 pictures a second."""
SLOPES = np.arange(-STEEPEST, STEEPEST + 1, 10.0)
"""Drifts from which the search starts, ms a minute."""
SPREAD = 10.0, 40.0
"""Least and largest standard deviation of the measurements that is believed, ms: estimates lie on a grid of 10 ms at
least, and its steps are no jumps."""
GROSS = 0.2
"""Share of measurements that may be anywhere."""
RANGE = 500.0
"""ms over which those may lie."""
LEAST = 3
"""Measurements on each side of a jump."""
MOST = 200
"""Measurements from which on the starts of the search see a part of them only."""


@dataclass(frozen=True)
class Piece:
    """A stretch without a jump: the offset is ``at_start_ms`` at ``start`` and rises by the drift."""

    start: float
    end: float
    """Seconds."""
    at_start_ms: float


@dataclass(frozen=True)
class Course:
    """The offset over time; positive where the video lags the audio."""

    pieces: tuple[Piece, ...]
    """In order; each begins where the one before ends."""
    drift: float
    """ms a minute in every piece; 0 without a drift."""
    agreeing: float
    """Share 0..1 of the weight of the measurements that lie on it."""
    spread_ms: float
    """Standard deviation of those."""

    @property
    def kind(self) -> str:
        """``constant``, ``drift``, ``jumps`` or ``drift and jumps``."""
        parts = ["drift"] * bool(self.drift) + ["jumps"] * (len(self.pieces) > 1)
        return " and ".join(parts) or "constant"

    @property
    def free(self) -> int:
        """Numbers that were chosen to fit: levels, places of jumps, the drift."""
        return 2 * len(self.pieces) - 1 + bool(self.drift)

    @property
    def clock_ratio(self) -> float:
        """Seconds of picture in which a second of sound belongs, 1 without a drift; 25 / 24.975 at 60 ms a minute."""
        return 1 + self.drift / 60_000

    @property
    def jumps(self) -> list[tuple[float, float, float]]:
        """(seconds, offset before, offset after) of each."""
        return [
            (after.start, before.at_start_ms + self.drift / 60 * (before.end - before.start), after.at_start_ms)
            for before, after in pairwise(self.pieces)
        ]

    @property
    def extremes(self) -> tuple[float, float]:
        """Least and largest offset, ms."""
        ends = [piece.at_start_ms for piece in self.pieces]
        ends += [piece.at_start_ms + self.drift / 60 * (piece.end - piece.start) for piece in self.pieces]
        return min(ends), max(ends)

    @property
    def mean_ms(self) -> float:
        """Over time."""
        lengths = np.array([max(piece.end - piece.start, 1e-9) for piece in self.pieces])
        middles = [piece.at_start_ms + self.drift / 120 * (piece.end - piece.start) for piece in self.pieces]
        return float(np.average(middles, weights=lengths))

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """The offset (n,) in ms at times (n,); before the first piece and after the last, theirs goes on."""
        starts = np.array([piece.start for piece in self.pieces])
        levels = np.array([piece.at_start_ms for piece in self.pieces])
        which = (np.searchsorted(starts, seconds, side="right") - 1).clip(0)
        return levels[which] + self.drift / 60 * (np.asarray(seconds) - starts[which])


def fit_course(
    seconds: np.ndarray, offset_ms: np.ndarray, weight: np.ndarray, end: float, moving: bool = True
) -> Course:
    """The simplest course from 0 to ``end`` seconds that explains measurements (n,), n >= 1, in the order of time.

    Args:
        seconds: when each was measured.
        offset_ms: finite.
        weight: > 0, how far each counts, such as its confidence; only their ratios matter.
        end: the length of the video.
        moving: whether drifts and jumps are looked for.

    Raises:
        ValueError: no measurement, or one that is not finite.
    """
    t, y, w = (np.asarray(values, float) for values in (seconds, offset_ms, weight))
    if not len(t) or not (np.isfinite(t).all() and np.isfinite(y).all() and (w > 0).all()):
        raise ValueError("a course needs at least one measurement, finite and of positive weight")
    w = w / w.mean()
    spread = float(np.clip(_noise(y), *SPREAD))
    best = None
    for _ in range(2):  # the spread is known only once gross errors are
        fits = [_constant(t, y, w, spread)]
        if moving and len(t) >= 2 * LEAST:
            fits += _moving(t, y, w, spread)
        best = min(fits, key=lambda fit: fit.criterion)
        error = y - best.predicted(t)
        near = np.abs(error) < 3 * spread
        if near.any():
            spread = float(np.clip(np.sqrt(np.average(error[near] ** 2, weights=w[near])), *SPREAD))
    assert best is not None
    return best.course(t, y, w, end, spread)


@dataclass
class _Fit:
    slope: float
    """ms a second."""
    levels: np.ndarray
    """(n,) level of each measurement's piece, ms."""
    criterion: float

    def predicted(self, t: np.ndarray) -> np.ndarray:
        return self.levels + self.slope * (t - t.mean())

    def course(self, t: np.ndarray, y: np.ndarray, w: np.ndarray, end: float, spread: float) -> Course:
        error = y - self.predicted(t)
        near = np.abs(error) < 3 * spread
        first = np.concatenate([[0], np.flatnonzero(np.diff(self.levels)) + 1])
        edges = [0.0, *((t[i - 1] + t[i]) / 2 for i in first[1:]), max(end, float(t[-1]))]
        pieces = tuple(
            Piece(float(a), float(b), float(self.levels[i] + self.slope * (a - t.mean())))
            for i, (a, b) in zip(first, pairwise(edges), strict=True)
        )
        return Course(pieces, 60 * self.slope, float(w[near].sum() / w.sum()), float(spread))


def _noise(y: np.ndarray) -> float:
    """Standard deviation of the measurements around whatever they follow, from those beside each other."""
    if len(y) < 3:
        return SPREAD[1]
    return float(1.4826 * np.median(np.abs(np.diff(y))) / np.sqrt(2))


def _gross(spread: float) -> float:
    """Density of gross errors over the largest of normal ones."""
    return GROSS / RANGE * spread * np.sqrt(2 * np.pi) / (1 - GROSS)


def _loss(error: np.ndarray, spread: float) -> np.ndarray:
    """Minus log likelihood of errors under normal ones and gross ones, less its least value; at most some 4 to 5."""
    gross = _gross(spread)
    return np.log1p(gross) - np.log(np.exp(-0.5 * np.square(error / spread)) + gross)


def _constant(t: np.ndarray, y: np.ndarray, w: np.ndarray, spread: float) -> _Fit:
    grid = np.arange(y.min(), y.max() + LEVEL_MS, LEVEL_MS)
    cost = (w[:, None] * _loss(y[:, None] - grid, spread)).sum(0)
    levels = np.full(len(t), grid[cost.argmin()])
    _, levels = _refined(t, y, w, levels, 0.0, spread, sloping=False)
    return _Fit(0.0, levels, _criterion(t, y, w, levels, 0.0, spread))


def _moving(t: np.ndarray, y: np.ndarray, w: np.ndarray, spread: float) -> list[_Fit]:
    """The best fits with jumps alone, and with a drift."""
    fits = [_settled(t, y, w, 0.0, spread, False)]
    few = slice(None, None, 1 + len(t) // MOST)
    starts = [_settled(t[few], y[few], w[few], slope / 60, spread, True, rounds=1) for slope in SLOPES]
    for start in sorted(starts, key=lambda fit: fit.criterion)[:4]:
        fits.append(_settled(t, y, w, start.slope, spread, True))
    return [fit for fit in fits if abs(fit.slope) <= STEEPEST / 60]


def _settled(t, y, w, slope: float, spread: float, sloping: bool, rounds: int = 6) -> _Fit:
    """Pieces for the slope and the slope for the pieces by turns."""
    best = None
    for _ in range(rounds):
        levels = _segmented(y - slope * (t - t.mean()), w, spread)
        slope, levels = _refined(t, y, w, levels, slope, spread, sloping)
        fit = _Fit(slope, levels, _criterion(t, y, w, levels, slope, spread))
        if best is not None and fit.criterion > best.criterion - 1e-6:
            break
        best = fit
    return best


def _segmented(y: np.ndarray, w: np.ndarray, spread: float) -> np.ndarray:
    """The levels (n,) of the cheapest piecewise constant course: a jump costs as much as _criterion says."""
    grid = np.arange(y.min() - LEVEL_MS, y.max() + 2 * LEVEL_MS, LEVEL_MS)
    costs = w[:, None] * _loss(y[:, None] - grid, spread)
    jump = _jump_cost(len(y))
    total, came = costs[0].copy(), np.zeros(costs.shape, np.int32)
    own = np.arange(len(grid))
    for i in range(1, len(y)):
        least = int(total.argmin())
        jumped = total > total[least] + jump
        came[i] = np.where(jumped, least, own)
        total = np.minimum(total, total[least] + jump) + costs[i]
    place = int(total.argmin())
    path = np.empty(len(y), int)
    for i in range(len(y) - 1, -1, -1):
        path[i] = place
        place = came[i, place]
    return _without_splinters(grid[path])


def _without_splinters(levels: np.ndarray) -> np.ndarray:
    """Pieces of fewer than LEAST measurements go to the nearer of their neighbours."""
    levels = levels.copy()
    while True:
        first = np.concatenate([[0], np.flatnonzero(np.diff(levels)) + 1, [len(levels)]])
        short = [i for i in range(len(first) - 1) if first[i + 1] - first[i] < LEAST]
        if not short or len(first) == 2:
            return levels
        a, b = first[short[0]], first[short[0] + 1]
        beside = ([levels[a - 1]] if a else []) + ([levels[b]] if b < len(levels) else [])
        levels[a:b] = min(beside, key=lambda level: abs(level - levels[a]))


def _refined(t, y, w, levels: np.ndarray, slope: float, spread: float, sloping: bool) -> tuple[float, np.ndarray]:
    """Slope and levels between the grid's: iterated least squares with the weights of the robust loss."""
    piece = np.concatenate([[0], np.cumsum(np.diff(levels) != 0)])
    design = np.eye(piece[-1] + 1)[piece]
    if sloping:
        design = np.column_stack([design, t - t.mean()])
    gross = _gross(spread)
    fitted = levels + slope * (t - t.mean())
    for _ in range(10):
        inlier = np.exp(-0.5 * np.square((y - fitted) / spread))
        root = np.sqrt(w * inlier / (inlier + gross))
        wanted = y if sloping else y - slope * (t - t.mean())
        found = np.linalg.lstsq(design * root[:, None], wanted * root, rcond=None)[0]
        slope = float(found[-1]) if sloping else slope
        levels = found[: piece[-1] + 1][piece]
        fitted = levels + slope * (t - t.mean())
    return slope, levels


def _jump_cost(n: int) -> float:
    """Half of what the criterion adds for a level and for its place, which is free among n."""
    return 2 * np.log(n)


def _criterion(t, y, w, levels: np.ndarray, slope: float, spread: float) -> float:
    loss = (w * _loss(y - levels - slope * (t - t.mean()), spread)).sum()
    jumps = int(np.count_nonzero(np.diff(levels)))
    return 2 * loss + 2 * jumps * _jump_cost(len(t)) + bool(slope) * 2 * np.log(len(t))


def chance_of_agreement(count: int, agreeing: int, share: float, free: int = 1) -> float:
    """Chance, at most, that ``agreeing`` of ``count`` offsets that are anywhere lie near one course.

    Args:
        count, agreeing: measurements.
        share: of the range of offsets that is near the course, 0..1.
        free: what of the course is chosen to fit them: each level, each place of a jump, the drift.
    """
    return float(min(1.0, float(count) ** free * binom.sf(agreeing - free - 1, max(0, count - free), min(1.0, share))))
