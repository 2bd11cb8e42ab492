"""The sound of a video file moved against its picture, without encoding anything again."""

import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import av

from slts.data.clip import Reject
from slts.data.media.container import container_start, open_media
from slts.data.media.muxing import restamp
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
    that would be heard before the first picture is left out: nothing needs a negative time.
    """
    with open_media(video, streams=streams) as source:
        picture, sound = video_stream(source), audio_stream(source)
        packets = {picture.index: [], sound.index: []}
        for packet in source.demux(picture, sound):
            if packet.size:
                packets[packet.stream.index].append(packet)
        seen, heard = packets[picture.index], packets[sound.index]
        if not seen or not heard:
            raise Reject("no_audio" if seen else "no_video", "a stream holds no packet")
        digest = hashlib.sha256(b"".join(bytes(packet) for packet in seen)).hexdigest()
        stamps = [packet.pts for packet in seen if packet.pts is not None]
        restamp(seen, picture, min(stamps, default=round(container_start(source) / picture.time_base)))
        _fill_times(heard, sound, container_start(source))
        late = round(offset_ms / 1000 / sound.time_base)
        for packet in heard:
            packet.pts += late
            packet.dts += late
        first = float(min(packet.pts for packet in seen) * picture.time_base)
        heard = [packet for packet in heard if float(packet.pts * sound.time_base) >= first - 1e-6]
        if not heard:
            raise Reject("too_short", f"no sound is left once it is moved by {offset_ms:+.0f} ms")
        _write(out, seen, heard, picture, sound)
    return digest


def _write(out: BinaryIO, seen: list, heard: list, picture: av.VideoStream, sound: av.AudioStream) -> None:
    first = min(float(packet.dts * packet.time_base) for packet in (*seen, *heard))
    try:
        with av.open(out, "w", options={"avoid_negative_ts": "disabled"}) as target:
            copies = {id(stream): target.add_stream_from_template(stream) for stream in (picture, sound)}
            everything = [(packet, picture) for packet in seen] + [(packet, sound) for packet in heard]
            for packet, stream in sorted(everything, key=lambda item: item[0].dts * item[0].time_base):
                early = round(min(first, 0.0) / packet.time_base)
                packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = copies[id(stream)]
                target.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Reject(
            "unreadable", f"{Path(out.name).suffix} cannot hold these streams ({reason}); try out=NAME.mkv"
        ) from None


def _fill_times(packets: list[av.Packet], stream: av.AudioStream, start: float) -> None:
    """Missing times of sound follow from the packet before."""
    if packets[0].pts is None:
        packets[0].pts = round(start / stream.time_base)
    for before, packet in pairwise(packets):
        if packet.pts is None:
            packet.pts = before.pts + (before.duration or 0)
    for packet in packets:
        packet.dts = packet.pts
