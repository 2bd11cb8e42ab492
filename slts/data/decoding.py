"""Decoding a stretch of a stored sample, and no more of it than is needed."""

import io

import cv2
import numpy as np
import soundfile
from av.video.plane import VideoPlane

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.data.media.container import open_media
from slts.data.media.streams import video_stream

TIMES = 1e-3
"""Seconds by which a clip's length may differ from frames / fps."""


def check_picture(mp4: bytes, fps: float, frames: int, size: int | None) -> None:
    """Raises Reject where a shard's mp4 by its header has another rate, length, or side in pixels (None is any)."""
    with open_media(mp4, "mp4") as container:
        stream = video_stream(container)
        rate = float(stream.average_rate or 0)
        if stream.frames != frames:
            raise Reject("unreadable", f"{stream.frames} frames, its JSON says {frames}")
        if frames > 1 and not (rate and abs(1 / rate - 1 / fps) * frames < TIMES):
            raise Reject("unreadable", f"{rate:g} frames a second, its JSON says {fps:g}")
        if size and (stream.height, stream.width) != (size, size):
            raise Reject("unreadable", f"pictures of {stream.width}x{stream.height}, corpus.json says {size}")


def check_sound(flac: bytes, fps: float, frames: int) -> None:
    """Raises Reject where a shard's FLAC by its header is not as long as its picture."""
    try:
        refuse_apart(soundfile.info(io.BytesIO(flac)).frames, fps, frames)
    except soundfile.LibsndfileError as error:
        raise Reject("unreadable", str(error)) from None


def refuse_apart(samples: int, fps: float, frames: int) -> float:
    """Seconds by which sound of 16 kHz and picture of a sample differ in length.

    Raises Reject("apart") above one frame: the shorter one would be filled up with what was never recorded.
    """
    sound, picture = samples / SAMPLE_RATE, frames / fps
    if abs(sound - picture) > 1 / fps:
        raise Reject("apart", f"{sound:.2f} s of sound and {picture:.2f} s of picture, more than a frame apart")
    return abs(sound - picture)


def decode_picture(mp4: bytes, fps: float, first: int, count: int, grey: bool) -> np.ndarray:
    """Frames ``first`` to ``first + count - 1`` of a shard's mp4 as they are stored.

    Decoding begins at the last key frame before them and ends with the last of them.

    Returns:
        (count, H, W) uint8 luma, 16-235, if ``grey``; else (count, 3H/2, W) uint8, luma above chroma (I420).

    Raises:
        Reject: unreadable, truncated or no_video.
    """
    done = 0
    with open_media(mp4, "mp4") as container:
        stream = video_stream(container)
        stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
        tick, height, width = float(stream.time_base), stream.height, stream.width
        if stream.format.name != "yuv420p" or height % 2 or width % 2:
            raise Reject("unreadable", f"{stream.format.name} of {width}x{height} pixels is not a shard's format")
        if first:
            container.seek(round(first / fps / tick), stream=stream)
        stored = np.empty((count, height if grey else height * 3 // 2, width), np.uint8)
        planes = _planes(stored, height, width)
        for frame in container.decode(stream):
            place = round(frame.pts * tick * fps) - first
            if 0 <= place < count:
                if (frame.height, frame.width) != (height, width):
                    raise Reject("unreadable", "the size of the picture changes")
                for number, kept in enumerate(planes):
                    plane, (rows, columns) = VideoPlane(frame, number), kept.shape[1:]
                    kept[place] = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
                done += 1
            if place >= count - 1:
                break
    if done != count:
        raise Reject("truncated", f"{done} of {count} frames from frame {first} on")
    return stored


def _planes(stored: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Views of luma (T, H, W) and, where there is room for them, of both chromas (T, H/2, W/2)."""
    flat, luma, chroma = stored.reshape(len(stored), -1), height * width, height * width // 4
    if flat.shape[1] == luma:
        return [stored]
    first, second = flat[:, luma : luma + chroma], flat[:, luma + chroma :]
    return [stored[:, :height], *(part.reshape(-1, height // 2, width // 2) for part in (first, second))]


def to_rgb(stored: np.ndarray) -> np.ndarray:
    """I420 frames (T, 3H/2, W) as (T, H, W, 3) uint8 RGB (BT.601)."""
    frames, rows, width = stored.shape
    height, flat = rows * 2 // 3, stored.reshape(frames, -1)
    luma = flat[:, : height * width].reshape(frames, height, width)
    chroma = flat[:, height * width :].reshape(frames, 2, height // 2, width // 2)
    # One picture with all frames side by side: OpenCV takes 128 pixels of a row at a time and the rest one by one,
    # which is all of a row of 112.
    wide = np.empty((rows, frames * width), np.uint8)
    wide[:height].reshape(height, frames, width)[:] = luma.swapaxes(0, 1)
    wide[height:].reshape(2, height // 2, frames, width // 2)[:] = chroma.transpose(1, 2, 0, 3)
    return cv2.cvtColor(wide, cv2.COLOR_YUV2RGB_I420).reshape(height, frames, width, 3).swapaxes(0, 1)


def decode_sound(flac: bytes, first: int, count: int) -> np.ndarray:
    """Samples ``first`` to ``first + count - 1`` of a shard's FLAC, (count,) float32 in [-1, 1]; zeros after its end.

    Raises:
        Reject: unreadable or truncated.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE, 1):
                raise Reject("unreadable", f"{file.samplerate} Hz with {file.channels} channels, not 16 kHz mono")
            if first:
                file.seek(min(first, file.frames))
            sound = file.read(count, dtype="float32")
            if len(sound) < min(count, file.frames - first):
                raise Reject("truncated", f"{first + len(sound)} of {file.frames} samples")
    except soundfile.LibsndfileError as error:
        raise Reject("unreadable", str(error)) from None
    return np.pad(sound, (0, count - len(sound)))
