"""Opening media files, decoding their frames in presentation order, and their timestamps."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from scipy.ndimage import median_filter

from slts.data.clip import Reject
from slts.data.media.streams import AS_PLAYERS, Streams, choosing, one_frame_streams, video_stream
from slts.errors import FULL
from slts.folders import printable

av.logging.set_level(None)

TOLERANCE = 1e-3
"""Seconds by which a timestamp may be rounded: Matroska counts milliseconds."""
LONGEST_JUMP = 3600
"""Seconds; timestamps that jump further are damage."""
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""What is taken for a video in a folder."""

NO_OTHER_FILE = {"protocol_whitelist": "none"}
"""Options of FFmpeg with which a playlist cannot reach any other file."""


@contextmanager
def open_media(
    source: Path | bytes, format: str | None = None, streams: Streams = AS_PLAYERS
) -> Iterator[av.container.InputContainer]:
    """A container over one open file. With an empty protocol list a playlist cannot reach any other file.

    A ``format`` by its FFmpeg name is the only one tried; without it the file's content decides. Pipes, sockets and
    devices, whose opening may wait for ever, are refused unopened. ``streams`` is what video_stream and audio_stream
    take of it.
    """
    try:
        with (
            _open(source) as file,
            av.open(file, format=format, options=NO_OTHER_FILE) as container,
            choosing(container, streams, _stills(source, format) if len(container.streams.video) > 1 else ()),
        ):
            yield container
    except (av.FFmpegError, OSError) as error:
        if error.errno in FULL:  # of what is written meanwhile; it is no fault of the source
            raise
        raise Reject("unreadable", error.strerror or str(error)) from None


def refuse_special(path: Path) -> None:
    """Raises Reject("unreadable") for a pipe, socket or device, and OSError where nothing is there."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Reject("unreadable", "a pipe, socket or device, not a file")


def _open(source: Path | bytes) -> io.IOBase:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if printable(str(source)) != str(source):
        raise Reject("bad_name", "the name is not UTF-8; rename the file or its folder")
    refuse_special(source)
    return open(source, "rb")


def _stills(source: Path | bytes, format: str | None) -> set[int]:
    with _open(source) as file, av.open(file, format=format, options=NO_OTHER_FILE) as container:
        return one_frame_streams(container)


def decoded_frames(
    container: av.container.InputContainer, stream: av.stream.Stream, until: float | None = None
) -> Iterator[av.frame.Frame]:
    """Decoded frames of a stream in presentation order, single-threaded. Damaged packets are skipped if they are few.

    The frame that is shown or heard at or after ``until`` is the last one.

    Raises Reject("truncated") where the file breaks off, Reject("unreadable") above one damaged packet in ten.
    """
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    packets = damaged = 0
    demuxed = container.demux(stream)
    reached = False
    while not reached:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError as error:
            raise Reject("truncated", f"the file breaks off after {packets} {stream.type} packets: {error}") from None
        if packet is None:
            break
        packets += 1
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            damaged += 1
            continue
        for frame in frames:
            yield frame
            if reached := until is not None and frame.pts is not None and frame.time >= until:
                break
    if damaged > packets / 10:
        raise Reject("unreadable", f"{damaged} of {packets} {stream.type} packets do not decode")


def seek(container: av.container.InputContainer, stream: av.stream.Stream, time: float) -> bool:
    """Go on with the last key frame of a stream that the container's index finds before ``time`` in seconds.

    False where the container cannot seek.
    """
    try:
        container.seek(int(time / stream.time_base), stream=stream)
    except av.FFmpegError:
        return False
    return True


def frame_time(frame: av.frame.Frame, stream: av.stream.Stream, container: av.container.InputContainer) -> float:
    """Presentation time of the first frame of a stream, in seconds."""
    if frame.pts is not None:
        return float(frame.time)
    if stream.start_time is not None:
        return float(stream.start_time * stream.time_base)
    return container_start(container)


def container_start(container: av.container.InputContainer) -> float:
    return (container.start_time or 0) / av.time_base


def declared_rates(stream: av.VideoStream) -> list[float]:
    """The credible frame rates that a container states, the average first."""
    return [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate and 1 <= rate <= 240]


def declared_duration(container: av.container.InputContainer, stream: av.stream.Stream) -> float | None:
    """Seconds that the container states for a stream, else for itself; None where it states neither."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if not container.duration:
        return None
    duration = container.duration / av.time_base
    if "matroska" in container.format.name:  # it states the end, counted from zero
        duration -= max(0.0, container_start(container))
    return duration


def has_index(container: av.container.InputContainer) -> bool:
    """Whether seeking leads to a frame with its own timestamp; in MPEG program streams it may carry a neighbour's."""
    return container.format.name != "mpeg"


def probe(source: Path | bytes, streams: Streams = AS_PLAYERS) -> tuple[float, float | None]:
    """Duration of the picture in seconds and its average frame rate, without decoding.

    Both are what the container states; where it states no duration, the packets are counted through.

    Raises:
        Reject: unreadable, truncated, no_video or no_stream.
    """
    with open_media(source, streams=streams) as container:
        stream = video_stream(container)
        rate = next(iter(declared_rates(stream)), None)
        duration = declared_duration(container, stream)
        if duration is None:
            times = [packet.pts * packet.time_base for packet in container.demux(stream) if packet.pts is not None]
            duration = float(max(times) - min(times)) + 1 / (rate or 25) if times else 0.0
        elif stream.start_time is not None and not stream.duration:  # of the container, whose sound may start first
            duration -= max(0.0, float(stream.start_time * stream.time_base) - container_start(container))
        return duration, rate


def mend_times(stamps: list[float | None], step: float) -> np.ndarray:
    """Rising times (T,) in seconds of frames in presentation order from their timestamps, some missing or wrong.

    Complete, rising stamps are taken as they are. Program streams stamp only some pictures, and some of those with a
    neighbour's time: there, a stamp that leaves the constant rate ``1 / step`` alone among its neighbours is dropped,
    so is a run that falls back in time until it catches up again, and what is missing continues at the constant rate.
    """
    times = np.array([np.nan if stamp is None else stamp for stamp in stamps])
    index = np.arange(len(times))
    stamped = np.flatnonzero(np.isfinite(times))
    if len(stamped) == len(times) and (np.diff(times) > 0).all():
        return times
    if not len(stamped):
        return index * step
    lag = times[stamped] - stamped * step
    trusted = np.abs(lag - median_filter(lag, 5, mode="nearest")) < step / 2
    if not trusted.any():
        trusted[:] = True
    kept = stamped[trusted]
    lag = lag[trusted]
    for fallen in np.flatnonzero(np.diff(times[kept]) <= 0) + 1:
        caught_up = np.flatnonzero(lag[fallen:] > lag[fallen - 1] - step / 2)
        if len(caught_up):
            lag[fallen : fallen + caught_up[0]] = np.nan
    believed = np.isfinite(lag)
    return np.maximum.accumulate(index * step + np.interp(index, kept[believed], lag[believed]))


def nearest_rate(times: np.ndarray, declared: list[float]) -> float:
    """The declared frame rate that the presentation times bear out best; theirs, or 25, where none is declared."""
    measured = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None
    if measured is None:
        return declared[0] if declared else 25.0
    return min(declared, key=lambda rate: abs(rate - measured), default=float(measured))
