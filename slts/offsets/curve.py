"""The offset of a video over time: one measurement a window, in memory that does not grow with the video."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from slts.data.clip import Clip, Reject
from slts.data.faces.people import Thresholds
from slts.data.media import Streams, probe, read_clip
from slts.data.media.container import open_media
from slts.data.media.picture import bytes_a_second
from slts.data.media.streams import AS_PLAYERS, audio_stream, unchosen
from slts.offsets.estimation import clip_offset, reading_rate
from slts.systems.trained import TrainedRun

SHORT = 1.5
"""Windows up to which a file is measured in one piece."""
LONG = 600.0
"""Seconds up to which windows overlap by half."""
HELD = 400e6
"""Bytes of decoded pictures that a window may take; of larger or faster ones it is shorter."""
SHORTEST = 1.0
"""Seconds of the shortest window."""


@dataclass(frozen=True)
class VideoEstimator:
    """A system with offsets, and how videos are put before it."""

    run: TrainedRun
    tracks: Thresholds
    faces: str | None = None
    """Detector; None is that of the run's corpus."""
    streams: Streams = AS_PLAYERS
    window: float = 5.0
    """Seconds of which one offset is told."""
    above_confidence: float | None = None
    """A window tells its offset where its confidence is higher; None leaves it to the system."""
    constant_ms: float = 0.0
    """The system's own, which is taken out."""

    @property
    def threshold(self) -> float | None:
        """Confidence from which a window is believed; None where nobody knows."""
        return self.run.task.sure_above if self.above_confidence is None else self.above_confidence


@dataclass(frozen=True)
class Window:
    """What one window tells."""

    seconds: float
    """Of its middle, after the video's first frame."""
    offset_ms: float | None
    """Positive where the video lags the audio; None where it cannot be told."""
    confidence: float | None
    distance: float | None = None
    reason: str | None = None
    """Why there is no offset: ``silence``, ``still``, ``no_face``, ``beyond``, ``unsure`` or a word of Reject."""
    detail: str = ""
    reach_ms: float = 0.0
    """Largest offset that was looked for, where picture and sound were compared."""


@dataclass(frozen=True)
class OffsetCurve:
    """The windows of a video in the order of time."""

    windows: tuple[Window, ...]
    length: float
    """Seconds of picture."""
    window: float
    """Seconds of a window."""
    hop: float
    """Seconds from window to window."""

    @property
    def told(self) -> list[Window]:
        return [window for window in self.windows if window.offset_ms is not None]

    def usual_reason(self) -> tuple[str, str]:
        """The commonest reason and detail of windows without an offset."""
        return Counter((w.reason, w.detail) for w in self.windows if w.reason).most_common(1)[0][0]


def offset_curve(
    estimator: VideoEstimator, video: Path, note: Callable[[str], None] = print, progress: bool = True
) -> OffsetCurve:
    """Measures a video window by window. A window that cannot be measured is one without an offset.

    Args:
        estimator: what measures.
        video: a file with picture and sound.
        note: is told of several streams and faces.
        progress: whether a bar is shown on standard error.

    Raises:
        Reject: unreadable, no_video, no_audio or no_stream; of a short video also what its one window is refused for.
    """
    length, _ = probe(video, estimator.streams)
    with open_media(video, streams=estimator.streams) as container:
        audio_stream(container)
    rate = reading_rate(estimator.run)
    if length <= SHORT * estimator.window:
        clip = read_clip(video, fps=rate, streams=estimator.streams)
        _note_streams(clip, estimator, video, note)
        seconds = len(clip.frames) / clip.fps
        one = _told(estimator, clip, seconds / 2, video, note)
        return OffsetCurve((one,), seconds, seconds, seconds)
    window = min(estimator.window, max(SHORTEST, HELD / bytes_a_second(video, rate, estimator.streams)))
    hop = window / 2 if length <= LONG else window
    starts = np.arange(0, max(hop, length - window + 1e-6), hop)
    console, name = Console(stderr=True), video.name if len(video.name) < 40 else f"{video.name[:37]}..."
    notes = _Once(note)
    windows = [
        measure_window(estimator, video, float(start), window, notes)
        for start in track(starts, name, console=console, disable=not progress)
    ]
    return OffsetCurve(tuple(windows), length, window, hop)


def measure_window(
    estimator: VideoEstimator, video: Path, start: float, seconds: float, note: Callable[[str], None] = print
) -> Window:
    """The window that begins ``start`` seconds after the video's first frame."""
    middle = start + seconds / 2
    try:
        span = start, start + seconds
        clip = read_clip(video, fps=reading_rate(estimator.run), span=span, streams=estimator.streams)
    except Reject as reject:
        return Window(middle, None, None, None, reject.reason, reject.detail)
    _note_streams(clip, estimator, video, note)
    return _told(estimator, clip, middle, video, note)


def _told(estimator: VideoEstimator, clip: Clip, middle: float, video: Path, note: Callable[[str], None]) -> Window:
    try:
        row, faces = clip_offset(estimator.run, clip, estimator.faces, estimator.tracks)
    except Reject as reject:
        return Window(middle, None, None, None, reject.reason, reject.detail)
    if faces > 1:
        note(f"{video}: {faces} faces; the offset is that of the one that fits the sound best")
    known = {"confidence": row["confidence"], "distance": row.get("distance"), "reach_ms": row["reach_ms"]}
    compared = partial(Window, middle, **known)
    if row["at_edge"]:
        said = f"the best offset lies at the end of the search, {row['reach_ms']:g} ms; the true one may lie beyond"
        return compared(None, reason="beyond", detail=said)
    if estimator.threshold is not None and row["confidence"] <= estimator.threshold:
        said = f"no offset has a confidence above {estimator.threshold:g}"
        return compared(None, reason="unsure", detail=said)
    return compared(row["offset_ms"] - estimator.constant_ms)


def _note_streams(clip: Clip, estimator: VideoEstimator, video: Path, note: Callable[[str], None]) -> None:
    if taken := unchosen(clip.extra.get("streams", {}), estimator.streams):
        note(f"{video}: {taken}")


class _Once:
    """Passes each note on once, and of several faces the first."""

    def __init__(self, note: Callable[[str], None]):
        self.note, self.said = note, set()

    def __call__(self, text: str) -> None:
        kind = text.rpartition(";")[2]
        if kind not in self.said:
            self.said.add(kind)
            self.note(text)
