"""The packets of a video file's picture, which copies of it take over: their hash, and times where some have none."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from slts.data.clip import Reject
from slts.data.media.container import container_start, open_media
from slts.data.media.streams import Streams, video_stream


@dataclass(frozen=True)
class Pictures:
    """The picture's packets, looked through once."""

    digest: str
    """SHA-256 of their bytes."""
    first: float
    """Seconds when the first picture is shown."""
    earliest: float
    """Seconds when the first packet is decoded."""
    restamped: list[av.Packet] | None
    """All of them, where they needed new times."""

    def packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
        """With times, in the order of decoding; ``container`` and ``stream`` are the file, opened again."""
        if self.restamped is not None:
            return iter(self.restamped)
        return (packet for packet in container.demux(stream) if packet.size)


def look_through(video: Path, streams: Streams) -> Pictures:
    """Reads a file to its end; holds its packets only where they need new times. Raises Reject as open_media does, and
    no_video."""
    digest, stamps = hashlib.sha256(), []
    with open_media(video, streams=streams) as container:
        stream = video_stream(container)
        for packet in container.demux(stream):
            if packet.size:
                digest.update(packet)
                stamps.append((packet.pts, packet.dts))
        if not stamps:
            raise Reject("no_video", "a stream holds no packet")
        start = min((pts for pts, _ in stamps if pts is not None), default=None)
        start = round(container_start(container) / stream.time_base) if start is None else start
        first, earliest = float(start * stream.time_base), stamps[0][1]
        whole = all(pts is not None and dts is not None for pts, dts in stamps)
        if whole and all(a[1] < b[1] for a, b in pairwise(stamps)):
            return Pictures(digest.hexdigest(), first, float(earliest * stream.time_base), None)
    with open_media(video, streams=streams) as container:
        stream = video_stream(container)
        packets = [packet for packet in container.demux(stream) if packet.size]
        restamp(packets, stream, start)
        return Pictures(digest.hexdigest(), first, float(packets[0].dts * stream.time_base), packets)


def restamp(packets: list[av.Packet], stream: av.VideoStream, start: int = 0) -> None:
    """Gives all packets of a video stream times, where some have none or they do not rise.

    Then the pictures follow each other at a constant rate, the first at ``start`` in ticks of the stream.
    """
    stamped = all(packet.pts is not None and packet.dts is not None for packet in packets)
    if stamped and all(a.dts < b.dts for a, b in pairwise(packets)):
        return
    step = round(1 / (stream.average_rate or 25) / stream.time_base)
    # A decoder hands the stamps of packets on to pictures and so tells the order in which they are shown.
    decoder = av.CodecContext.create(stream.codec_context.codec.name, "r")
    decoder.extradata = stream.codec_context.extradata
    for number, packet in enumerate(packets):
        packet.pts = packet.dts = number
    shown = [frame.pts for packet in [*packets, None] for frame in decoder.decode(packet)]
    place = {number: i for i, number in enumerate(shown)}
    late = max((i - number for number, i in place.items()), default=0)
    for number, packet in enumerate(packets):
        packet.pts = start + place.get(number, number) * step
        packet.dts = start + (number - late) * step
        packet.duration = step
