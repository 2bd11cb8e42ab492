"""Stretches of one signal that share what is computed from it.

The plain and the aligned scores of a pair look at nearly the same samples, cut at whole steps of 10 ms. An analysis
that sees only a little beyond each sample (MFCCs, a resampler) has the same values in both, except near the cuts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEP = 160
"""Samples (10 ms at 16 kHz) in which excerpts that share are cut."""


SILENCE = 1 / 32768
"""Audio that never exceeds one step of 16-bit PCM is silent."""


class Undefined(ValueError):
    """The metric has no value for this input; the message is the reason.

    Messages name no sizes, so that equal reasons can be counted.
    """


@dataclass(frozen=True)
class LocalAnalysis:
    """A function of audio (N,) whose first axis is time.

    ``per_step`` values belong to each step of 10 ms; all but those of the first ``edge`` and last ``edge`` steps depend
    on no sample before the audio's begin or after its end.
    """

    compute: Callable[[np.ndarray], np.ndarray]
    per_step: int
    edge: int


class Excerpt:
    """Audio (N,) at 16 kHz that was cut from a signal; slices of it share the signal's analyses."""

    def __init__(self, audio: np.ndarray):
        self.audio, self._signal, self._start, self._analyses = audio, audio, 0, {}

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, stretch: slice) -> "Excerpt":
        start, stop, _ = stretch.indices(len(self))
        part = Excerpt(self.audio[start:stop])
        part._signal, part._start, part._analyses = self._signal, self._start + start, self._analyses
        return part

    def analysis(self, analysis: LocalAnalysis) -> np.ndarray:
        """``analysis.compute(self.audio)``, with the values away from the cuts taken from the whole signal's.

        Equal up to the rounding of float64 (differences of about 1e-15 of the largest value).
        """
        if analysis not in self._analyses:
            self._analyses[analysis] = analysis.compute(self._signal)
        whole = self._analyses[analysis]
        if len(self) == len(self._signal):
            return whole
        first, odd = divmod(self._start, STEP)
        edge, rate = analysis.edge, analysis.per_step
        # Each end is computed on enough audio that its inner edge can be thrown away.
        tail = len(self) // STEP - 3 * edge - 1
        if odd or tail <= edge:
            return analysis.compute(self.audio)
        begin = whole[rate * first : rate * (first + edge)]
        if first:
            begin = analysis.compute(self.audio[: STEP * (3 * edge + 1)])[: rate * edge]
        middle = whole[rate * (first + edge) : rate * (first + tail + edge)]
        end = whole[rate * (first + tail + edge) :]
        if self._start + len(self) < len(self._signal):
            end = analysis.compute(self.audio[STEP * tail :])[rate * edge :]
        return np.concatenate([begin, middle, end])


def check_audio(audio: np.ndarray, name: str) -> None:
    """Raise Undefined if audio is not (N,), empty, not finite or silent; ``name`` says whose audio it is."""
    if audio.ndim != 1:
        raise Undefined(f"{name} audio is not mono")
    if audio.size == 0:
        raise Undefined(f"{name} audio is empty")
    # min and max propagate NaN and need no temporary array.
    low, high = float(audio.min()), float(audio.max())
    if not np.isfinite(low + high):
        raise Undefined(f"{name} audio is not finite")
    if max(-low, high) <= SILENCE:
        raise Undefined(f"{name} audio is silent")


def checked_pair(
    reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt, equal_lengths: bool = True
) -> tuple[Excerpt, Excerpt]:
    """Both as excerpts. Raises Undefined as check_audio does, and for unequal lengths unless they may differ."""
    both = tuple(side if isinstance(side, Excerpt) else Excerpt(np.asarray(side)) for side in (reference, generated))
    check_audio(both[0].audio, "reference")
    check_audio(both[1].audio, "generated")
    if equal_lengths and len(both[0]) != len(both[1]):
        raise Undefined("lengths differ")
    return both
