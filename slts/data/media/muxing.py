"""Generated speech joined with the video it was generated for."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.media.container import open_media
from slts.data.media.packets import restamp
from slts.data.media.streams import AS_PLAYERS, Streams, video_stream
from slts.files import whole_file


def mux(video: Path | bytes, audio: np.ndarray, out: Path, streams: Streams = AS_PLAYERS) -> None:
    """Write ``out`` (.mp4), whole or not at all: the video stream of ``video`` as it is, and ``audio`` as AAC from its
    first frame on.

    Args:
        video: file or its bytes; its own sound is left out.
        audio: (N,) float32 in [-1, 1] at 16 kHz.
        streams: which video stream is taken.

    Raises:
        Reject: unreadable, no_video or no_stream; unreadable also where an mp4 cannot hold the stream.
        OSError: ``out`` cannot be written.
    """
    with (
        whole_file(out) as file,
        open_media(video, streams=streams) as source,
        av.open(file, "w", format="mp4") as target,
    ):
        picture = video_stream(source)
        copied = target.add_stream_from_template(picture)
        spoken = target.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for packet in _stamped_packets(source, picture):
            packet.stream = copied
            target.mux(packet)
        frame = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        target.mux(spoken.encode(frame))
        target.mux(spoken.encode(None))


def _stamped_packets(container: av.container.InputContainer, stream: av.stream.Stream) -> list[av.Packet]:
    """All packets of a video stream, the first picture at time 0; at a constant rate where stamps are missing."""
    packets = [packet for packet in container.demux(stream) if packet.size]
    restamp(packets, stream)
    first = min((packet.pts for packet in packets), default=0)
    for packet in packets:
        packet.pts -= first
        packet.dts -= first
    return packets
