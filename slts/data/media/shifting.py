"""The sound of a video file moved against its picture, without encoding anything again."""

import heapq
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av

from slts.data.clip import Reject
from slts.data.media.container import container_start, open_media
from slts.data.media.packets import look_through
from slts.data.media.sidecar import write_repair
from slts.data.media.streams import AS_PLAYERS, Streams, audio_stream, video_stream


def repair_video(video: Path, offset_ms: float, method: str, out: Path, streams: Streams = AS_PLAYERS) -> bool:
    """Write ``out``: the packets of ``video``, those of its sound later by ``offset_ms``, and the sidecar.

    Args:
        video: any file with picture and sound.
        offset_ms: positive where the video lags the audio.
        method: what found the offset, for the sidecar.
        out: file to write; its suffix names the container. Whole or not there.
        streams: which streams of ``video`` are taken.

    Returns:
        Whether anything was written: not if ``video`` is a repaired file, or ``out`` is its repair already.

    Raises:
        Reject: unreadable, no_video, no_audio or no_stream; unreadable also where the container of ``out`` cannot
            hold a stream.
        UserError: ``out`` is the source or another file, or its suffix is not among TIMED.
        OSError: ``out`` cannot be written.
    """
    write = partial(shift_sound, video, offset_ms, streams=streams)
    return write_repair(video, out, {"offset_ms": offset_ms}, method, streams, write)


def shift_sound(video: Path, offset_ms: float, out: BinaryIO, streams: Streams = AS_PLAYERS) -> str:
    """Copy the packets of picture and sound, the sound's times later by ``offset_ms``. Returns the picture's SHA-256.

    ``out`` is a file opened for writing, whose suffix names the container.
    Picture and sound keep their presentation times otherwise, less a common constant that makes the first 0. Sound
    that would be heard before the first picture is left out: nothing needs a negative time. Memory does not grow with
    the video.
    """
    looked = look_through(video, streams)
    with open_media(video, streams=streams) as pictures, open_media(video, streams=streams) as sounds:
        picture, sound = video_stream(pictures), audio_stream(sounds)
        late = round(offset_ms / 1000 / sound.time_base)
        heard = _heard(sounds, sound, late, looked.first)
        before = next(heard, None)
        if before is None:
            raise Reject("too_short", f"no sound is left once it is moved by {offset_ms:+.0f} ms")
        early = min(looked.earliest, float(before.dts * before.time_base), 0.0)
        seen, heard = looked.packets(pictures, picture), chain([before], heard)
        try:
            with av.open(out, "w", options={"avoid_negative_ts": "disabled"}) as target:
                copies = [target.add_stream_from_template(stream) for stream in (picture, sound)]
                both = (_timed(packets, copy, early) for packets, copy in zip((seen, heard), copies, strict=True))
                for packet in heapq.merge(*both, key=lambda one: one.dts * one.time_base):
                    target.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Reject(
                "unreadable", f"{Path(out.name).suffix} cannot hold these streams ({reason}); try out=NAME.mkv"
            ) from None
    return looked.digest


def _heard(
    container: av.container.InputContainer, stream: av.AudioStream, late: int, first: float
) -> Iterator[av.Packet]:
    """The sound's packets ``late`` ticks later, from the time ``first`` on; a missing time follows from the packet
    before. Raises Reject where there are none, or times go back."""
    following = before = None
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if following is None:
            following = round(container_start(container) / stream.time_base)
        if packet.pts is None:
            packet.pts = following
        if before is not None and packet.pts < before:
            at = float(packet.pts * stream.time_base)
            raise Reject(
                "unreadable", f"the sound's times go back to {at:.2f} s, as where files were joined; encode it anew"
            )
        before, following = packet.pts, packet.pts + (packet.duration or 0)
        packet.pts = packet.dts = packet.pts + late
        if float(packet.pts * stream.time_base) >= first - 1e-6:
            yield packet
    if following is None:
        raise Reject("no_audio", "a stream holds no packet")


def _timed(packets: Iterable[av.Packet], stream: av.stream.Stream, early: float) -> Iterator[av.Packet]:
    """The packets as those of another stream, ``early`` seconds earlier; a negative number makes them later."""
    for packet in packets:
        ticks = round(early / packet.time_base)
        packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, stream
        yield packet
