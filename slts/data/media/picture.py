"""The picture of a file: frames with their presentation times."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from slts.data.clip import Reject
from slts.data.media.container import (
    LONGEST_JUMP,
    TOLERANCE,
    container_start,
    declared_duration,
    declared_rates,
    decoded_frames,
    frame_time,
    has_index,
    mend_times,
    nearest_rate,
    open_media,
    seek,
)
from slts.data.media.streams import AS_PLAYERS, Streams, streams_read, video_stream

LINES = 720
"""Pictures with more lines are scaled down when they are decoded; a face crop is far smaller."""
LARGEST = 4 * LINES**2
"""Pixels of one picture that is held: of the usual height it may be four times as wide."""
MOST = 2**32
"""Pixels of all pictures that are held at once, three bytes each: a minute of 1280x720 at 60 frames a second fits."""
UNSTATED = 2**28
"""Pixels that a file may hold whatever duration it states; beyond, it holds no more than that duration can."""
RUN_UP = (1.0, 5.0, 25.0)
"""Seconds before a span at which decoding sets in, one after the other until a frame before the span is found."""

Media = Callable[[], AbstractContextManager[av.container.InputContainer]]
"""Opens one file anew."""


@dataclass
class Picture:
    """Frames in presentation order; of the whole file, or those whose times lie in a span."""

    frames: list[np.ndarray]
    """(H, W, 3) uint8 RGB."""
    times: np.ndarray
    """(T,) presentation times in seconds, rising."""
    end: float
    """When the last frame gives way: the time of the next one, or its own plus one frame at the end of the file."""
    rate: float
    """Frames a second."""
    first: float
    """Presentation time of the file's first frame."""
    container_start: float
    declared: float | None
    """Seconds that the file states for the whole picture, as far as it does."""
    streams: dict[str, int]
    """What streams_read says."""


def read_frames(
    source: Path | bytes, span: tuple[float, float] | None = None, streams: Streams = AS_PLAYERS
) -> Picture:
    """Decode the frames of a file, or those with ``span[0] <= time - first < span[1]``.

    A span is reached through the container's index as far as its timestamps are complete and rising there, otherwise
    by decoding from the start; no other frames are held.

    Raises:
        Reject: unreadable, truncated, no_video, no_stream, too_large (before it fills the memory), or too_short when no
            frame lies in the span.
    """
    with open_media(source, streams=streams) as container:
        stream = video_stream(container)
        declared = declared_rates(stream)
        # Of a span, the container's own duration says nothing: it may be that of a longer sound.
        stated = declared_duration(container, stream) if span is None or stream.duration else None
        facts = {
            "container_start": container_start(container),
            "declared": stated,
            "streams": streams_read(container),
        }
        _refuse_large(stream, stated if span is None else span[1] - span[0], declared)
        to_rgb = _ToRGB(_room(stream, stated, declared) if span is None else MOST)
        shown = [(to_rgb(frame), stamp) for frame, stamp in islice(_frames(container), None if span is None else 1)]
    if not shown:
        raise Reject("no_video", "the video stream holds no picture")
    if span is None:
        frames, times, following = [rgb for rgb, _ in shown], _times([stamp for _, stamp in shown], declared), None
        first = float(times[0])
    else:
        first = shown[0][1]
        begin, end = (first + bound - TOLERANCE for bound in span)
        media = partial(open_media, source, streams=streams)
        found = _by_index(media, begin, end, first) or _by_decoding(media, begin, end, declared)
        frames, times, following = found
    if not frames:
        raise Reject("too_short", f"no picture from {span[0]:.2f} s to {span[1]:.2f} s")
    rate = nearest_rate(times, declared)
    end = float(times[-1]) + 1 / rate if following is None else following
    return Picture(frames, times, end, rate, first, **facts)


def bytes_a_second(source: Path, fps: float | None = None, streams: Streams = AS_PLAYERS) -> float:
    """Memory that a second of the picture takes once decoded, at its own rate or ``fps``, whichever is higher.

    Raises Reject as ``read_frames`` does, by what the file states.
    """
    with open_media(source, streams=streams) as container:
        stream = video_stream(container)
        width, height = _kept(stream.codec_context.width, stream.codec_context.height)
        return 3 * width * height * max([fps or 0.0, *(declared_rates(stream) or [25.0])])


def _kept(width: int, height: int) -> tuple[int, int]:
    shrink = min(1, LINES / max(1, min(width, height)))
    return round(width * shrink), round(height * shrink)


def _refuse_large(stream: av.VideoStream, seconds: float | None, declared: list[float]) -> None:
    """Raises Reject("too_large") by what the file states, before anything is decoded."""
    size = stream.codec_context.width, stream.codec_context.height
    width, height = _kept(*size)
    if width * height > LARGEST or size[0] * size[1] > 64 * LARGEST:
        raise Reject("too_large", f"pictures of {size[0]}x{size[1]} pixels")
    frames = round((seconds or 0) * (declared[0] if declared else 0))
    if frames * width * height > MOST:
        raise Reject("too_large", f"{frames} pictures of {size[0]}x{size[1]} pixels do not fit the memory")


def _room(stream: av.VideoStream, stated: float | None, declared: list[float]) -> int:
    """Pixels that a whole file may hold: no more than its stated duration can at twice its rate, or 120 a second."""
    if not stated:
        return MOST
    width, height = _kept(stream.codec_context.width, stream.codec_context.height)
    return min(MOST, max(UNSTATED, round(max(120, 2 * max(declared, default=0)) * (stated + 1) * width * height)))


def _by_index(media: Media, begin: float, end: float, first: float) -> tuple | None:
    """Frames, times and the time of the following frame; None where the index or the timestamps do not serve."""
    with media() as container:
        if not has_index(container):
            return None
    for run_up in RUN_UP:
        whole = begin - run_up <= first
        frames, times, last, to_rgb = [], [], None, _ToRGB()
        with media() as container:
            if not whole and not seek(container, video_stream(container), begin - run_up):
                return None
            for frame, stamp in _frames(container, end, from_start=whole):
                if stamp is None or (last is not None and stamp <= last):
                    return None
                if last is None and stamp > begin and not whole:
                    break
                last = stamp
                if begin <= stamp < end:
                    frames.append(to_rgb(frame))
                    times.append(stamp)
            else:
                return frames, np.array(times), last if last is not None and last >= end else None
    return None


def _by_decoding(media: Media, begin: float, end: float, declared: list[float]) -> tuple:
    """The same, decoding everything before the span as well: once for the times, once for the frames."""
    with media() as container:
        times = _times([stamp for _, stamp in _frames(container)], declared)
    low, high = np.searchsorted(times, (begin, end))
    to_rgb = _ToRGB()
    with media() as container:
        frames = [to_rgb(frame) for frame, _ in islice(_frames(container), int(low), int(high))]
    return frames, times[low:high], float(times[high]) if high < len(times) else None


def _times(stamps: list[float | None], declared: list[float]) -> np.ndarray:
    times = mend_times(stamps, 1 / declared[0] if declared else 0.04)
    jump = np.diff(times, prepend=times[0]).max()
    if jump > LONGEST_JUMP:
        raise Reject("unreadable", f"the video timestamps jump by {jump:.0f} s")
    return times


def _frames(
    container: av.container.InputContainer, until: float | None = None, from_start: bool = True
) -> Iterator[tuple[av.VideoFrame, float | None]]:
    """Frames with their timestamps; the first frame of the file always has one."""
    stream = video_stream(container)
    for index, frame in enumerate(decoded_frames(container, stream, until)):
        stamp = None if frame.pts is None else float(frame.time)
        yield frame, frame_time(frame, stream, container) if index == 0 and from_start else stamp


class _ToRGB:
    """Decoded frames to (H, W, 3) uint8, upright. One for all frames of a file: its set-up costs more than a frame."""

    def __init__(self, room: int = MOST):
        self.reformatter = VideoReformatter()
        self.room, self.frames = room, 0

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        width, height = _kept(frame.width, frame.height)
        self.room -= width * height
        if self.room < 0 or width * height > LARGEST:
            raise Reject("too_large", f"more than {self.frames} pictures, of {frame.width}x{frame.height} pixels")
        self.frames += 1
        rgb = self.reformatter.reformat(frame, width, height, "rgb24").to_ndarray()
        return np.rot90(rgb, round(frame.rotation / 90)) if frame.rotation else rgb
