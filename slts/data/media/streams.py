"""Which of a file's video and audio streams are read."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
from av.stream import Disposition

from slts.data.clip import Reject

NO_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Marks of video streams that do not show the speaker: covers, thumbnails, stills."""


@dataclass(frozen=True)
class Streams:
    """What the user chose: places among the file's streams of that kind, counted from 0 as by FFmpeg's v:0 and a:0.

    None is the stream that players take.
    """

    video: int | None = None
    audio: int | None = None


AS_PLAYERS = Streams()

_open: dict[int, tuple[Streams, frozenset[int]]] = {}
"""Of each open container, by its id: the choice, and the indices of its one-frame video streams."""


@contextmanager
def choosing(container: av.container.InputContainer, streams: Streams, stills: Iterable[int]) -> Iterator[None]:
    """Within it, video_stream and audio_stream of this container follow the choice and know its ``stills``."""
    _open[id(container)] = streams, frozenset(stills)
    try:
        yield
    finally:
        del _open[id(container)]


def one_frame_streams(container: av.container.InputContainer) -> set[int]:
    """Indices of video streams with one packet; reads from here on, few packets where there is no such stream."""
    packets = Counter()
    for packet in container.demux(*container.streams.video):
        packets[packet.stream.index] += packet.size > 0
        if all(packets[stream.index] > 1 for stream in container.streams.video):
            break
    return {stream.index for stream in container.streams.video if packets[stream.index] < 2}


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The chosen video stream, or the one that players show: the default one of those that move.

    Raises:
        Reject: no_video, or no_stream where the chosen one is not there.
    """
    return _taken(container, "video")


def audio_stream(container: av.container.InputContainer) -> av.AudioStream:
    """The chosen audio stream, or the one that players play: the default one, else the first.

    Raises:
        Reject: no_audio, or no_stream where the chosen one is not there.
    """
    return _taken(container, "audio")


def streams_read(container: av.container.InputContainer) -> dict[str, int]:
    """Which "video" and "audio" stream is read, counted from 0, where there are several to choose from."""
    several = (kind for kind in ("video", "audio") if len(_candidates(container, kind)) > 1)
    return {kind: _all(container, kind).index(_taken(container, kind)) for kind in several}


def unchosen(read: dict[str, int], streams: Streams) -> str | None:
    """What to tell the user of the streams that were read although there were several; None where they were chosen."""
    left = {kind: place for kind, place in read.items() if getattr(streams, kind) is None}
    if not left:
        return None
    taken = ", ".join(f"{kind} stream {place}" for kind, place in left.items())
    return f"{taken} of several is read; {' and '.join(f'{kind}_stream=' for kind in left)} takes another"


def _taken(container: av.container.InputContainer, kind: str) -> av.stream.Stream:
    streams, number = _all(container, kind), getattr(_choice(container)[0], kind)
    candidates = _candidates(container, kind)
    if not candidates:
        raise Reject(f"no_{kind}", f"the file has no {kind} stream")
    if number is None:
        return next((stream for stream in candidates if stream.disposition & Disposition.default), candidates[0])
    if number >= len(streams):
        has = ", ".join(f"{place} ({_described(stream)})" for place, stream in enumerate(streams))
        raise Reject("no_stream", f"{kind}_stream={number} is not there; the file has {has}")
    return streams[number]


def _candidates(container: av.container.InputContainer, kind: str) -> list[av.stream.Stream]:
    """Streams that may be meant: of pictures those that are no covers and, where there are several, no stills."""
    streams = _all(container, kind)
    if kind == "audio":
        return streams
    streams = [stream for stream in streams if not stream.disposition & NO_PICTURE]
    stills = _choice(container)[1]
    return [stream for stream in streams if stream.index not in stills] or streams


def _all(container: av.container.InputContainer, kind: str) -> list[av.stream.Stream]:
    return list(getattr(container.streams, kind))


def _choice(container: av.container.InputContainer) -> tuple[Streams, frozenset[int]]:
    return _open.get(id(container), (AS_PLAYERS, frozenset()))


def _described(stream: av.stream.Stream) -> str:
    codec = stream.codec_context
    form = f"{codec.width}x{codec.height}" if stream.type == "video" else f"{codec.sample_rate} Hz"
    default = ", default" if stream.disposition & Disposition.default else ""
    return f"{codec.name} {form}{default}"
