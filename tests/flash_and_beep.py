"""Small videos in which a flash is seen and a beep is heard at chosen instants."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

RATE = 44100


def flash_frames(seconds: float, flash: float, fps: float = 25, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Black (T, H, W, 3) frames with one white one: the first that is shown at or after ``flash`` seconds."""
    frames = np.zeros((round(seconds * fps), *size, 3), np.uint8)
    frames[int(np.ceil(flash * fps - 1e-6))] = 255
    return frames


def beep(seconds: float, at: float, rate: int = RATE) -> np.ndarray:
    """(N,) float64, silence but for 40 ms of 1 kHz that set in at ``at`` seconds."""
    time = np.arange(round(seconds * rate)) / rate - at
    return 0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= 0) & (time < 0.04))


def onset(audio: np.ndarray, rate: int = 16000) -> float:
    """Time of the beep's centre of energy less its half length, in seconds."""
    energy = np.square(audio.astype(np.float64))
    return float((energy * np.arange(len(audio))).sum() / energy.sum() / rate - 0.02)


def flash(frames: np.ndarray) -> int:
    """Index of the white frame."""
    return int(frames.reshape(len(frames), -1).mean(1).argmax())


def write_video(
    path: Path,
    frames: np.ndarray,
    audio: np.ndarray | None,
    fps: int = 25,
    video_start: float = 0.0,
    audio_start: float = 0.0,
    stamps: list[int] | None = None,
    codecs: tuple[str, str] = ("mpeg4", "pcm_s16le"),
) -> Path:
    """A file whose streams start at the given presentation times. ``audio`` is (N,), or (2, N) for stereo, at 44.1 kHz.

    ``stamps`` are the frames' times in units of 1 / fps after ``video_start``, 0, 1, 2, ... by default.
    """
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        video = container.add_stream(codecs[0], rate=fps)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        sound = None
        if audio is not None:
            pcm = (np.atleast_2d(audio) * 32767).astype(np.int16)
            layout = "mono" if len(pcm) == 1 else "stereo"
            sound = container.add_stream(codecs[1], rate=RATE, layout=layout)
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            tick = index if stamps is None else stamps[index]
            frame.pts, frame.time_base = round((video_start + tick / fps) * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound:
            for first in range(0, pcm.shape[1], 1024):
                piece = np.ascontiguousarray(pcm[:, first : first + 1024].T.reshape(1, -1))
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = round(audio_start * RATE) + first
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def write_streams(path: Path, pictures: list[np.ndarray], sounds: list[np.ndarray], default: tuple[int, int]) -> Path:
    """A Matroska file of several pictures and sounds; those numbered ``default`` are marked so, a still is MJPEG."""
    with av.open(str(path), "w") as container:
        streams = []
        for frames in pictures:
            stream = container.add_stream("mpeg4" if len(frames) > 1 else "mjpeg", rate=25)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p" if len(frames) > 1 else "yuvj420p"
            streams.append(stream)
        voices = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in sounds]
        for kind, marked in ((streams, default[0]), (voices, default[1])):
            for number, stream in enumerate(kind):
                stream.disposition = Disposition.default if number == marked else 0
        for stream, frames in zip(streams, pictures, strict=True):
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        for stream, sound in zip(voices, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path
