"""Films read and written frame by frame at their own size, so that their length takes no memory."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from slts.data.clip import Reject
from slts.data.media.container import (
    LONGEST_JUMP,
    TOLERANCE,
    declared_rates,
    decoded_frames,
    frame_time,
    has_index,
    mend_times,
    nearest_rate,
    open_media,
    seek,
)
from slts.data.media.streams import AS_PLAYERS, Streams, audio_stream, video_stream

LARGEST = 2**26
"""Pixels of a picture."""
RUN_UP = 2.0
"""Seconds before a frame at which decoding sets in to reach it."""
IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")
"""Codecs of sound that players take from an mp4."""
AAC_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
"""Hz at which sound is encoded as it is; any other is resampled to the last."""
FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's formats of the suffixes that are written."""


@dataclass(frozen=True)
class Film:
    """What a whole reading of a film tells."""

    file: Path
    streams: Streams
    times: np.ndarray
    """(T,) presentation times of its frames in seconds, rising."""
    rate: float
    """Frames a second."""
    height: int
    width: int
    """Of the upright picture, in pixels."""
    indexed: bool
    """Frames can be told by their timestamps after a jump."""
    keys: tuple[int, ...] = (0,)
    """Numbers of its key frames, to which a jump leads."""

    @property
    def grid(self) -> int:
        """Frames at the constant ``rate``."""
        return max(1, round((self.times[-1] - self.times[0]) * self.rate) + 1)


class Survey:
    """One reading of a film from beginning to end: iterating gives frames ``every`` seconds of the first ``seconds``,
    then ``film`` is there.

    Each is (index, (H, W, 3) uint8 RGB, upright). Raises Reject, on iteration: unreadable, truncated, no_video,
    no_stream or too_large.
    """

    def __init__(self, file: Path, every: float, streams: Streams = AS_PLAYERS, seconds: float = np.inf):
        self.file, self.every, self.streams, self.seconds = file, every, streams, seconds
        self.film: Film | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        stamps, keys, upright, due, end, size = [], [0], _Upright(), -np.inf, np.inf, None
        with open_media(self.file, streams=self.streams) as container:
            stream = video_stream(container)
            declared, index = declared_rates(stream), has_index(container)
            if stream.codec_context.width * stream.codec_context.height > LARGEST:
                raise Reject(
                    "too_large", f"pictures of {stream.codec_context.width}x{stream.codec_context.height} pixels"
                )
            for number, frame in enumerate(decoded_frames(container, stream)):
                stamps.append(None if frame.pts is None else float(frame.time))
                if number and frame.key_frame:
                    keys.append(number)
                if number == 0:
                    stamps[0] = frame_time(frame, stream, container)
                    size = upright(frame).shape[:2]
                time = stamps[-1] if stamps[-1] is not None else number / (declared[0] if declared else 25)
                if number == 0:
                    end = time + self.seconds
                if due - TOLERANCE <= time <= end + TOLERANCE:
                    due = time + self.every
                    yield number, upright(frame)
        if not stamps:
            raise Reject("no_video", "the video stream holds no picture")
        times = mend_times(stamps, 1 / declared[0] if declared else 0.04)
        if np.diff(times, prepend=times[0]).max() > LONGEST_JUMP:
            raise Reject("unreadable", "the video timestamps jump by hours")
        rate = nearest_rate(times, declared)
        indexed = index and None not in stamps and bool((np.diff(np.array(stamps)) > 0).all())
        self.film = Film(self.file, self.streams, times, rate, *size, indexed, tuple(keys))


class FrameReader:
    """Frames of a film by their number, forwards as they come, backwards or far ahead by a jump; a context.

    Raises Reject where the file cannot be read a second time as it was the first.
    """

    def __init__(self, film: Film):
        self.film, self.indexed = film, film.indexed
        self.opened, self.frames, self.position = contextlib.ExitStack(), iter(()), None

    def __enter__(self) -> "FrameReader":
        return self

    def __exit__(self, *_) -> None:
        self.opened.close()

    def read(self, first: int, last: int) -> list[np.ndarray]:
        """Frames ``first`` to ``last``, both included: (H, W, 3) uint8 RGB, upright."""
        if self.position is None or first < self.position or self._far(first):
            self._go_to(first)
        taken, upright = [], _Upright()
        try:
            while self.position <= last:
                frame = next(self.frames, None)
                if frame is None:
                    raise Reject("truncated", f"only {self.position} of {len(self.film.times)} frames the second time")
                if self.position >= first:
                    taken.append(upright(frame))
                self.position += 1
        except av.FFmpegError as error:
            raise Reject("unreadable", error.strerror or str(error)) from None
        return taken

    def _far(self, number: int) -> bool:
        """Whether a jump leads further ahead than RUN_UP from where the reader stands."""
        times, keys = self.film.times, np.array(self.film.keys)
        reached = keys[times[keys] <= max(times[number] - RUN_UP, times[0])][-1]
        return self.indexed and bool(times[reached] - times[min(self.position, number)] > RUN_UP)

    def _go_to(self, number: int) -> None:
        times = self.film.times
        if self.indexed and times[number] - times[0] > RUN_UP:
            first = next(self.frames, None) if self._jump(float(times[number]) - RUN_UP) else None
            if first is not None and first.pts is not None:
                place = int(np.abs(times - float(first.time)).argmin())
                if place <= number and abs(times[place] - float(first.time)) <= TOLERANCE:
                    self.frames, self.position = chain([first], self.frames), place
                    return
            self.indexed = False  # nor is it the next time
        self._jump(None)
        self.position = 0

    def _jump(self, time: float | None) -> bool:
        self.opened.close()
        container = self.opened.enter_context(open_media(self.film.file, streams=self.film.streams))
        stream = video_stream(container)
        reached = time is None or seek(container, stream, time)
        self.frames = decoded_frames(container, stream)
        return reached


class _Upright:
    """Decoded frames to (H, W, 3) uint8 RGB, upright, all of the first one's size."""

    def __init__(self):
        self.reformatter, self.size = VideoReformatter(), None

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        self.size = self.size or (frame.width, frame.height)
        rgb = self.reformatter.reformat(frame, *self.size, "rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90))) if frame.rotation else rgb


class FilmWriter:
    """Writes pictures, encoded once, and a sound, copied where the container can hold it; a context.

    Args:
        file: opened to write.
        suffix: .mp4, .mov or .mkv.
        rate: pictures a second.
        height, width: of the pictures; an odd side is made even by its last line once more.
        sound: file whose audio stream is taken, its first sample shown with the first picture.
        streams: which stream that is.
        metadata: text by name.
    """

    def __init__(
        self, file: BinaryIO, suffix: str, rate: float, height: int, width: int, sound: Path,
        streams: Streams = AS_PLAYERS, metadata: dict[str, str] | None = None,
    ):  # fmt: skip
        self.opened = contextlib.ExitStack()
        options = {"movflags": "use_metadata_tags"} if suffix != ".mkv" else {}
        self.target = av.open(file, "w", format=FORMATS[suffix], options=options)
        self.target.metadata.update(metadata or {})
        self.rate = Fraction(rate).limit_denominator(1001)
        self.picture = self.target.add_stream("libx264", rate=self.rate, options={"crf": "17", "preset": "veryfast"})
        self.picture.height, self.picture.width = height + height % 2, width + width % 2
        self.picture.pix_fmt = "yuv420p"
        self.picture.codec_context.time_base = 1 / self.rate
        self.picture.codec_context.thread_count = 1
        self.odd, self.count, self.reformatter = (height % 2, width % 2), 0, VideoReformatter()
        self.source = self.opened.enter_context(open_media(sound, streams=streams))
        self.heard = audio_stream(self.source)
        self.copied = suffix != ".mp4" or self.heard.codec_context.name in IN_MP4
        self.copied &= self.heard.codec_context.name in self.target.supported_codecs
        if self.copied:
            self.sound = self.target.add_stream_from_template(self.heard)
        else:
            rate = self.heard.rate if self.heard.rate in AAC_RATES else AAC_RATES[-1]
            self.sound = self.target.add_stream(
                "aac", rate=rate, layout="mono" if self.heard.channels == 1 else "stereo"
            )
            self.sound.bit_rate = 192_000
        self.packets = self._copied() if self.copied else self._encoded()
        self.waiting = None

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            if kind is None:
                self.target.mux(self.picture.encode(None))
                self._mux_sound(np.inf)
        finally:
            self.opened.close()
            if kind is None:
                self.target.close()

    def write(self, frames: Iterable[np.ndarray]) -> None:
        """Pictures (H, W, 3) uint8 RGB, each with the sound up to it."""
        for frame in frames:
            self._write(frame)

    def _write(self, frame: np.ndarray) -> None:
        if any(self.odd):
            frame = np.pad(frame, ((0, self.odd[0]), (0, self.odd[1]), (0, 0)), mode="edge")
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        encoded = self.reformatter.reformat(rgb, format="yuv420p")
        encoded.pts, encoded.time_base = self.count, 1 / self.rate
        self.target.mux(self.picture.encode(encoded))
        self._mux_sound(self.count / float(self.rate))
        self.count += 1

    def _mux_sound(self, until: float) -> None:
        while True:
            packet = self.waiting or next(self.packets, None)
            self.waiting = None
            if packet is None:
                return
            if packet.pts is not None and float(packet.pts * packet.time_base) > until:
                self.waiting = packet
                return
            self.target.mux(packet)

    def _copied(self) -> Iterator[av.Packet]:
        start = self.heard.start_time or 0
        for packet in self.source.demux(self.heard):
            if packet.size:
                if packet.pts is not None:
                    packet.pts -= start
                if packet.dts is not None:
                    packet.dts -= start
                packet.stream = self.sound
                yield packet

    def _encoded(self) -> Iterator[av.Packet]:
        context = self.sound.codec_context
        to_encoder = av.AudioResampler(format="fltp", layout=context.layout, rate=context.sample_rate)
        done = 0
        for frame in chain(decoded_frames(self.source, self.heard), [None]):
            for piece in to_encoder.resample(frame):
                piece.pts, piece.time_base = done, Fraction(1, context.sample_rate)
                done += piece.samples
                yield from self.sound.encode(piece)
        yield from self.sound.encode(None)
