"""The sound of a video file stretched and cut against its picture, whose packets are copied.

Only a constant offset can be taken out by moving packets. A clock that runs at another rate needs the sound resampled,
a jump needs silence or a cut; then the sound is decoded, changed piece by piece as it streams past, and encoded again.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soxr

from slts.data.clip import Reject
from slts.data.media.container import decoded_frames, frame_time, open_media
from slts.data.media.packets import look_through
from slts.data.media.sidecar import write_repair
from slts.data.media.sound import GAP
from slts.data.media.streams import AS_PLAYERS, Streams, audio_stream, video_stream

CODECS = {".mkv": "flac", ".webm": "libopus"}
"""Of the new sound by container; AAC in the others."""
BIT_RATE = 96_000, 192_000
"""Least and most bits a second and channel of a lossy codec; between them it has those of the source."""
OPUS_RATE = 48_000
FADE = 0.005
"""Seconds in which the sound sets in after a cut."""


@dataclass(frozen=True)
class Stretch:
    """What is heard from ``start`` to ``end`` is moved later by ``late``, and takes ``ratio`` times as long."""

    start: float
    end: float
    """Seconds after the video's first frame. The first stretch has all sound before its end, the last all after."""
    late: float
    """Seconds, at ``start``; negative is earlier."""
    ratio: float = 1.0


def repair_course(video: Path, stretches: list[Stretch], method: str, out: Path, streams: Streams = AS_PLAYERS) -> bool:
    """Write ``out``: the picture's packets of ``video`` and its sound moved stretch by stretch, and the sidecar.

    Arguments, result and errors are those of ``slts.data.media.shifting.repair_video``. Between stretches that part is
    silence; of those that overlap, the later one loses its beginning. Sound before the first picture is left out.
    """
    rounded = [
        {"start": round(s.start, 3), "late_ms": round(1000 * s.late, 2), "ratio": round(s.ratio, 9)} for s in stretches
    ]
    write = partial(warp_sound, video, stretches, streams=streams)
    return write_repair(video, out, {"stretches": rounded}, method, streams, write)


def warp_sound(video: Path, stretches: list[Stretch], out: BinaryIO, streams: Streams = AS_PLAYERS) -> str:
    """Writes the repaired video; returns the SHA-256 of the picture's packets. Memory does not grow with the video."""
    looked = look_through(video, streams)
    with open_media(video, streams=streams) as pictures, open_media(video, streams=streams) as sounds:
        picture, sound = video_stream(pictures), audio_stream(sounds)
        suffix = Path(out.name).suffix.lower()
        try:
            with av.open(out, "w", options={"avoid_negative_ts": "disabled"}) as target:
                copied, spoken = target.add_stream_from_template(picture), _encoder(target, sound, suffix)
                blocks = _resampled(_blocks(sounds, sound, spoken.rate), stretches, looked.first, spoken.rate)
                copies = _retargeted(looked.packets(pictures, picture), copied)
                both = copies, _encoded(blocks, spoken, looked.first)
                for packet in heapq.merge(*both, key=lambda one: one.dts * one.time_base):
                    target.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Reject("unreadable", f"{suffix} cannot hold these streams ({reason}); try out=NAME.mkv") from None
    return looked.digest


def _encoder(target: av.container.OutputContainer, sound: av.AudioStream, suffix: str) -> av.AudioStream:
    codec = CODECS.get(suffix.lower(), "aac")
    rate = OPUS_RATE if codec == "libopus" else sound.rate
    spoken = target.add_stream(codec, rate=rate, layout=sound.layout.name)
    if codec != "flac":
        least, most = (rate * sound.channels for rate in BIT_RATE)
        spoken.bit_rate = min(max(sound.bit_rate or 0, least), most)
    return spoken


def _blocks(
    container: av.container.InputContainer, stream: av.AudioStream, rate: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Time of the first sample and samples (n, channels) float32 at ``rate``, one after the other; gaps are silence."""
    to_float = av.AudioResampler(format="flt", layout=stream.layout.name, rate=rate)
    start, count = None, 0
    for frame in decoded_frames(container, stream):
        if start is None:
            start = frame_time(frame, stream, container)
        elif frame.pts is not None:
            late = frame.time - start - count / rate
            if late > GAP:
                silence = np.zeros((round(late * rate), stream.channels), np.float32)
                yield start + count / rate, silence
                count += len(silence)
            elif late < -GAP:
                continue
        for piece in to_float.resample(frame):
            samples = piece.to_ndarray().reshape(piece.samples, -1)
            yield start + count / rate, samples
            count += len(samples)
    if start is None:
        raise Reject("no_audio", "the audio stream holds no sound")
    for piece in to_float.resample(None):
        yield start + count / rate, piece.to_ndarray().reshape(piece.samples, -1)
        count += piece.samples


def _resampled(
    blocks: Iterator[tuple[float, np.ndarray]], stretches: list[Stretch], first: float, rate: int
) -> Iterator[np.ndarray]:
    """The new sound (n, channels) from the time ``first`` of the first picture on, without gaps."""
    written = 0
    for begin, ratio, pieces in _by_stretch(blocks, stretches, first, rate):
        place, fading = round(begin * rate), written > 0
        stream = None
        for samples in pieces:
            if stream is None:
                if place > written:
                    yield np.zeros((place - written, samples.shape[1]), np.float32)
                    written = place
                stream = soxr.ResampleStream(rate, rate * ratio, samples.shape[1], dtype="float32")
            last = not len(samples)
            heard = samples if ratio == 1 else stream.resample_chunk(np.ascontiguousarray(samples), last=last)
            heard = heard.reshape(-1, samples.shape[1])
            skip = min(len(heard), max(0, written - place))
            place += skip
            heard = heard[skip:]
            if len(heard):
                if fading:
                    rise = min(len(heard), round(FADE * rate))
                    louder = np.linspace(0, 1, rise, dtype=np.float32)[:, None]
                    heard = np.concatenate([heard[:rise] * louder, heard[rise:]])
                    fading = False
                yield heard
                place += len(heard)
                written = place


def _by_stretch(
    blocks: Iterator[tuple[float, np.ndarray]], stretches: list[Stretch], first: float, rate: int
) -> Iterator[tuple[float, float, Iterator[np.ndarray]]]:
    """Of each stretch the new time of its first sample after ``first``, its ratio, and its samples, an empty end."""
    waiting: list[tuple[float, np.ndarray]] = []
    blocks = iter(blocks)

    def pull() -> tuple[float, np.ndarray] | None:
        return waiting.pop() if waiting else next(blocks, None)

    def until(end: float, channels: int) -> Iterator[np.ndarray]:
        while (block := pull()) is not None:
            time, samples = block
            keep = int(np.clip(np.rint((end - (time - first)) * rate), 0, len(samples)))
            if keep:
                yield samples[:keep]
            if keep < len(samples):
                waiting.append((time + keep / rate, samples[keep:]))
                break
        yield np.zeros((0, channels), np.float32)

    for number, stretch in enumerate(stretches):
        block = pull()
        if block is None:
            return
        waiting.append(block)
        begin = block[0] - first
        late = stretch.late + (stretch.ratio - 1) * (begin - stretch.start)
        end = np.inf if number == len(stretches) - 1 else stretch.end
        if begin < end:
            yield begin + late, stretch.ratio, until(end, block[1].shape[1])


def _encoded(blocks: Iterator[np.ndarray], spoken: av.AudioStream, first: float) -> Iterator[av.Packet]:
    place = round(first * spoken.rate)
    for samples in blocks:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.clip(-1, 1)).reshape(1, -1), format="flt", layout=spoken.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = spoken.rate, place, Fraction(1, spoken.rate)
        place += len(samples)
        yield from spoken.encode(frame)
    yield from spoken.encode(None)


def _retargeted(packets, copied: av.VideoStream) -> Iterator[av.Packet]:
    for packet in packets:
        packet.stream = copied
        yield packet
