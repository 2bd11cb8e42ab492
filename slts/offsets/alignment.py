"""The offset of a video file, and the file with its offset taken out: from Python, and for ``slts offsets``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slts.data.engine import Engine, part_of, run_jobs
from slts.data.faces.people import Thresholds
from slts.data.media import Streams
from slts.data.media.shifting import repair_video
from slts.data.media.streams import AS_PLAYERS
from slts.data.media.warping import Stretch, repair_course
from slts.data.parallel import HERE
from slts.errors import UserError
from slts.offsets.course import Course
from slts.offsets.curve import VideoEstimator
from slts.offsets.finding import Finding, find_offset
from slts.offsets.shipped import load_shipped
from slts.systems import need
from slts.systems.contract import OFFSETS
from slts.systems.syncnet.published import load_syncnet
from slts.systems.trained import TrainedRun, load_run_giving
from slts.systems.videos import find_videos
from slts.training.hub import fetch_run

ANY_LENGTH = Thresholds(detect_rate=5.0, shortest=1.0, smallest_face=50.0)
"""conf/tracks/any_length.yaml"""


def offset_of(
    video: str | Path,
    run: str | Path | TrainedRun | None = None,
    weights: str | Path | None = None,
    above_confidence: float | None = None,
    window: float = 5.0,
    progress: bool = False,
) -> Finding:
    """The audio-visual offset of a video file.

    Args:
        video: a file with picture and sound, of any length.
        run: directory or ``hf:`` address of a run of a system with offsets, or a loaded one; None is the shipped
            estimator.
        weights: instead of ``run``, file of SyncNet's published weights.
        above_confidence: confidence above which a window is believed; None is what the system states.
        window: seconds of which one offset is told.
        progress: whether a bar is shown on standard error.

    Returns:
        A Finding: ``offset_ms`` (positive where the video lags the audio; None where it cannot be told, then
        ``cannot_tell`` says why), ``sure``, ``course`` and ``curve``.

    Raises:
        UserError: no such file, no system, or one without offsets.
    """
    video = Path(video)
    if not video.is_file():
        raise UserError(f"{video}: no such file")
    if isinstance(run, str) and run.startswith("hf:"):
        run = fetch_run(run)
    system = load_estimator(run, weights)
    estimator = VideoEstimator(system, ANY_LENGTH, window=window, above_confidence=above_confidence)
    return find_offset(estimator, video, progress=progress)


def align(
    video: str | Path,
    out: str | Path,
    finding: Finding | float | None = None,
    **options,
) -> Finding | float:
    """Writes ``out``: the video with its offset taken out, its picture as it is, and ``out.repair.json`` beside it.

    Args:
        video: a file with picture and sound.
        out: file to write, never the source.
        finding: what ``offset_of`` found, or an offset in ms that is known; None measures, with the ``options`` of
            ``offset_of``.

    Returns:
        What was taken out.

    Raises:
        UserError: there is no offset to take out, ``out`` is the source or exists, or as ``offset_of``.
        Reject: the video cannot be read, or ``out`` cannot hold it.
    """
    video, out = Path(video), Path(out)
    found = offset_of(video, **options) if finding is None else finding
    if isinstance(found, Finding):
        if found.course is None:
            raise UserError(f"{video}: no offset to take out ({found.cannot_tell})")
        take_out(found.course, video, out, "slts.offset_of", AS_PLAYERS)
    else:
        repair_video(video, float(found), "given", out)
    return found


def load_estimator(
    run: str | Path | TrainedRun | None, weights: str | Path | None = None, checkpoint: str = "best"
) -> TrainedRun:
    """A system that tells offsets: a run, SyncNet by its published weights, or without either the shipped estimator.
    Raises UserError where there is none."""
    if isinstance(run, TrainedRun):
        need(run.task, (OFFSETS,), f"run={run.directory.path}", "offset_of")
        return run
    if weights is not None:
        return load_syncnet(str(weights))
    return load_shipped() if run is None else load_run_giving((OFFSETS,), "slts offsets", run, checkpoint)


@dataclass(frozen=True)
class Video:
    """One of several videos to measure: a job."""

    estimator: VideoEstimator
    path: Path
    key: str


def find_offsets(
    estimator: VideoEstimator,
    data: Path,
    note: Callable[[str], None] = print,
    engine: Engine = HERE,
    part: str | None = None,
) -> Iterator[Finding]:
    """What is found of one video, measured here, or of each of a folder, which no single file stops; of these
    ``engine`` measures one a job, and ``part`` chooses some as slts.data.engine.part_of does.

    Raises:
        UserError: there is no video, or no such part.
    """
    videos = part_of([Video(estimator, path, key) for path, key in find_videos(data, note).items()], part)
    if len(videos) == 1:
        yield _find_offset(videos[0], note, progress=True)
        return
    for finding, notes in run_jobs(engine, _find_apart, videos, "measuring", len(videos)):
        for text in notes:
            note(text)
        yield finding


def _find_apart(video: Video, tick: Callable[[], None]) -> tuple[Finding, list[str]]:
    notes: list[str] = []
    finding = _find_offset(video, notes.append, progress=False)
    tick()
    return finding, notes


def _find_offset(video: Video, note: Callable[[str], None], progress: bool) -> Finding:
    try:
        return find_offset(video.estimator, video.path, video.key, note, progress)
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # what a library says of a strange file; the others are measured
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return Finding(video.path, video.key, cannot_tell=f"unreadable: {said}")


def take_out(course: Course, video: Path, out: Path, method: str, streams: Streams) -> bool:
    """Writes ``out`` with the course of the offset taken out, see ``repair_video`` and ``repair_course``.

    A constant moves the packets of the sound; drifts and jumps need it resampled, cut and encoded again.
    """
    if course.kind == "constant":
        return repair_video(video, round(course.mean_ms, 1), method, out, streams)
    return repair_course(video, stretches(course), method, out, streams)


def stretches(course: Course) -> list[Stretch]:
    """What brings the sound to the picture. The offset at the picture's time s is that of the sound heard at s less it:
    a second of sound becomes 1 / (1 - drift)."""
    slope = course.drift / 60_000
    return [
        Stretch(piece.start, piece.end, piece.at_start_ms / 1000 / (1 - slope), 1 / (1 - slope))
        for piece in course.pieces
    ]


def described(course: Course) -> str:
    """One line of what a course is, and of what is done about it."""
    if course.kind == "constant":
        return f"{course.mean_ms:+.0f} ms"
    parts = []
    if course.drift:
        low, high = sorted((course.at([0])[0], course.at([course.pieces[-1].end])[0]))
        parts.append(f"drift of {course.drift:+.1f} ms a minute (clock ratio {course.clock_ratio:.6f})")
        if len(course.pieces) == 1:
            parts[-1] += f", from {low:+.0f} to {high:+.0f} ms"
    parts += [f"jump at {place:.1f} s from {before:+.0f} to {after:+.0f} ms" for place, before, after in course.jumps]
    return "; ".join(parts)
