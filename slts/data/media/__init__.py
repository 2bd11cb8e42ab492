"""Video and audio files: decoding by presentation time, encoding for shards, muxing generated speech.

All times are presentation times in seconds. Nothing outside the given file is ever opened, whatever it contains.
"""

from slts.data.media.container import VIDEO_SUFFIXES, probe
from slts.data.media.members import decode_flac, decode_frames, encode_flac, encode_h264, frame_times
from slts.data.media.muxing import mux
from slts.data.media.reading import read_clip, read_picture
from slts.data.media.sound import read_audio, write_sound
from slts.data.media.streams import Streams

__all__ = [
    "VIDEO_SUFFIXES",
    "Streams",
    "decode_flac",
    "decode_frames",
    "encode_flac",
    "encode_h264",
    "frame_times",
    "mux",
    "probe",
    "read_audio",
    "read_clip",
    "read_picture",
    "write_sound",
]
