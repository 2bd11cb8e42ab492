"""Picture and sound of a file on one clock, whole or cut by presentation time."""

from pathlib import Path

import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.clip import Clip, Reject
from slts.data.media.container import TOLERANCE
from slts.data.media.picture import MOST, Picture, read_frames
from slts.data.media.sound import read_audio, sound_start, sound_stop
from slts.data.media.streams import AS_PLAYERS, Streams


def read_clip(
    video: Path,
    audio: Path | None = None,
    fps: float | None = None,
    span: tuple[float, float] | None = None,
    streams: Streams = AS_PLAYERS,
) -> Clip:
    """Decode a video and its sound, or a span of them, onto one clock.

    Both streams keep the presentation times of their container. A separate audio file starts where the video's
    container starts. The clip begins with the first video frame at or after the start of the sound and ends with the
    last whole frame before either stream ends; its audio is cut from and to the same instants. Frame i of the clip is
    the one whose presentation time is nearest to i / fps.

    With a span, the clip begins with the first frame in it and lasts at most as long as it: spans that share a bound
    share neither picture nor sound, and each is a cut of the same clock. Only what is needed is decoded and held.

    Args:
        video: a file with a video stream and, unless ``audio`` is given, an audio stream.
        audio: a separate audio file.
        fps: frame rate of the clip; None keeps the video's own average rate.
        span: seconds of presentation time after the video's first frame, from and to.
        streams: which streams of ``video`` are taken.

    Returns:
        A Clip; ``extra["start"]`` is the time of its start after the video's first frame, in seconds. Of a file with
        several streams, ``extra["streams"]`` says which were read, counted from 0, such as {"audio": 1}.

    Raises:
        Reject: unreadable, truncated, no_video, no_audio, no_stream, too_short or too_large.
    """
    picture = read_frames(video, span, streams)
    # The sound may go on for hours after the picture.
    needed = -np.inf if span is None else float(picture.times[0]), picture.end
    if audio is None:
        sound, heard = read_audio(video, needed, streams)
    else:
        late = picture.container_start - sound_start(audio)
        sound, heard = read_audio(audio, (needed[0] - late, needed[1] - late))
        heard += late
    sound_end = heard + len(sound) / SAMPLE_RATE
    _refuse_truncated(picture, video, span)

    first = int(np.searchsorted(picture.times, heard - TOLERANCE))
    start = float(picture.times[min(first, len(picture.times) - 1)])
    end = min(picture.end, sound_end, np.inf if span is None else picture.first + span[1])
    frames, fps = _on_grid(picture, start, end, fps)
    begin = max(0, round((start - heard) * SAMPLE_RATE))
    return Clip(
        frames=frames,
        fps=fps,
        audio=sound[begin : begin + round(len(frames) / fps * SAMPLE_RATE)],
        extra={"start": round(start - picture.first, 6), **_several(picture, "video", "" if audio else "audio")},
    )


def read_picture(video: Path, fps: float | None = None, streams: Streams = AS_PLAYERS) -> Clip:
    """Decode a video without its sound, from its first frame to its end: a Clip with empty audio.

    Raises:
        Reject: unreadable, truncated, no_video, no_stream or too_large.
    """
    picture = read_frames(video, streams=streams)
    _refuse_truncated(picture, video)
    frames, fps = _on_grid(picture, float(picture.times[0]), picture.end, fps)
    return Clip(frames, fps, np.zeros(0, np.float32), extra={"start": 0.0, **_several(picture, "video")})


def _several(picture: Picture, *kinds: str) -> dict:
    read = {kind: place for kind, place in picture.streams.items() if kind in kinds}
    return {"streams": read} if read else {}


def _on_grid(picture: Picture, start: float, end: float, fps: float | None) -> tuple[np.ndarray, float]:
    """The frames nearest to start + i / fps, as many as end before ``end``, and the rate.

    The picture's own frames are given up one by one, so that they are not held twice. Raises Reject("too_short"), or
    Reject("too_large") where a few frames last so long that the grid would fill the memory.
    """
    fps = fps or picture.rate
    count = int((end - start + TOLERANCE) * fps)
    if count < 1:
        raise Reject("too_short", "picture and sound do not overlap")
    height, width, _ = picture.frames[0].shape
    if count * height * width > MOST:
        raise Reject("too_large", f"{count} pictures of {width}x{height} pixels do not fit the memory")
    ticks = start + np.arange(count) / fps
    shown = nearest(picture.times, ticks)
    frames = np.empty((count, *picture.frames[0].shape), np.uint8)
    passed = 0
    for place, index in enumerate(shown):
        frames[place] = picture.frames[index]
        picture.frames[passed:index] = [None] * (index - passed)
        passed = index
    return frames, fps


def nearest(times: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """For each of the ticks (N,) the index of the frame whose time, of ``times`` (T,) that rise, is nearest.

    The last frame before a tick would be late by half a frame on average. Half-way between two frames it is the
    earlier one, which is still on the screen; where frames are missing, the earlier and the later one by turns. No
    frame is taken sooner than a usual frame lasts before its time: a picture that stands still does so to its end.
    """
    before = (np.searchsorted(times, ticks + TOLERANCE, side="right") - 1).clip(0)
    after = np.minimum(before + 1, len(times) - 1)
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    behind, ahead = ticks - times[before], times[after] - ticks
    half_way = np.abs(behind - ahead) <= TOLERANCE
    gap = half_way & (times[after] - times[before] > 1.5 * usual)
    later = np.where(half_way, gap & (np.cumsum(gap) % 2 == 0), ahead < behind)
    return np.where(later & (ahead < usual + TOLERANCE), after, before)


def _refuse_truncated(picture: Picture, video: Path, span: tuple[float, float] | None = None) -> None:
    """A video is truncated when more than 0.2 s and more than a twentieth of its declared duration are missing.

    Where the length is not declared but found from the data (MPEG program streams, AVI) a cut file is a shorter clip.
    Of a span, the part within the declared duration counts. What is declared may be the duration of a longer sound.
    """
    if picture.declared is None:
        return
    begin = min(picture.first, picture.container_start)
    if span is None:
        expected, reached = picture.declared, picture.end - begin
    else:
        expected = min(span[1], picture.declared - (picture.first - begin)) - span[0]
        reached = picture.end - float(picture.times[0])
    slack = max(0.2, expected / 20)
    if span is None and expected - reached > slack:
        reached = max(reached, sound_stop(video) - begin)
    if expected - reached > slack:
        raise Reject("truncated", f"{reached:.2f} s decoded of the {expected:.2f} s declared")
