"""Video and audio files: decoding by presentation time, encoding for shards, muxing generated speech.

All times are presentation times in seconds. Nothing outside the given file is ever opened, whatever it contains.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import soundfile
from scipy.ndimage import median_filter

from slts.audio import SAMPLE_RATE
from slts.data.clip import Clip, Reject

av.logging.set_level(None)

TOLERANCE = 1e-3
"""Seconds by which a timestamp may be rounded: Matroska counts milliseconds."""
GAP = 0.02
"""Seconds by which audio timestamps may drift from the sample count before a gap or an overlap is believed."""
LINES = 720
"""Pictures with more lines are scaled down when they are decoded; a face crop is far smaller."""
LONGEST = 3600
"""Seconds; timestamps that claim a longer clip are damage."""
H264 = {"crf": "20", "bf": "0", "threads": "1", "x264-params": "mbtree=0"}
"""Encoder settings of shard videos. With mbtree, x264's output was found to differ about once in 130 encodings."""
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""What is taken for a video in a folder."""


@dataclass
class _Picture:
    frames: list[np.ndarray]
    times: np.ndarray
    rate: float
    container_start: float
    declared: float | None

    @property
    def end(self) -> float:
        return float(self.times[-1]) + 1 / self.rate


def read_clip(video: Path, audio: Path | None = None, fps: float | None = None) -> Clip:
    """Decode a video and its sound onto one clock.

    Both streams keep the presentation times of their container. A separate audio file starts where the video's
    container starts. The clip begins with the first video frame at or after the start of the sound and ends with the
    last whole frame before either stream ends; its audio is cut from and to the same instants. Frame i of the clip is
    the one shown at i / fps.

    Args:
        video: a file with a video stream and, unless ``audio`` is given, an audio stream.
        audio: a separate audio file.
        fps: frame rate of the clip; None keeps the video's own average rate.

    Returns:
        A Clip; ``extra["start"]`` is the time of its start after the video's first frame, in seconds.

    Raises:
        Reject: unreadable, truncated, no_video, no_audio or too_short.
    """
    picture = _read_video(video)
    sound, sound_start = read_audio(audio or video)
    if audio:
        sound_start = picture.container_start
    sound_end = sound_start + len(sound) / SAMPLE_RATE
    _refuse_truncated(picture, sound_end if audio is None else picture.end)

    first = int(np.searchsorted(picture.times, sound_start - TOLERANCE))
    start = float(picture.times[min(first, len(picture.times) - 1)])
    frames, fps = _on_grid(picture, start, min(picture.end, sound_end), fps)
    begin = max(0, round((start - sound_start) * SAMPLE_RATE))
    return Clip(
        frames=frames,
        fps=fps,
        audio=sound[begin : begin + round(len(frames) / fps * SAMPLE_RATE)],
        extra={"start": round(start - float(picture.times[0]), 6)},
    )


def read_picture(video: Path, fps: float | None = None) -> Clip:
    """Decode a video without its sound, from its first frame to its end: a Clip with empty audio.

    Raises:
        Reject: unreadable, truncated or no_video.
    """
    picture = _read_video(video)
    _refuse_truncated(picture, picture.end)
    frames, fps = _on_grid(picture, float(picture.times[0]), picture.end, fps)
    return Clip(frames, fps, np.zeros(0, np.float32), extra={"start": 0.0})


def _on_grid(picture: _Picture, start: float, end: float, fps: float | None) -> tuple[np.ndarray, float]:
    """The frames shown at start + i / fps, as many as end before ``end``, and the rate. Raises Reject("too_short")."""
    fps = fps or picture.rate
    count = int((end - start + TOLERANCE) * fps)
    if count < 1:
        raise Reject("too_short", "picture and sound do not overlap")
    ticks = start + np.arange(count) / fps
    shown = np.searchsorted(picture.times, ticks + TOLERANCE, side="right") - 1
    return np.stack([picture.frames[i] for i in shown]), fps


def read_audio(source: Path | bytes) -> tuple[np.ndarray, float]:
    """Decode the first audio stream: ((N,) float32 in [-1, 1], mono 16 kHz; presentation time of sample 0 in seconds).

    Channels are decoded to 16 bits and averaged, then resampled by libswresample, whose delay is compensated: an
    instant of the file keeps its time, and the sample count is ffmpeg's. Gaps in the timestamps become silence.

    Raises:
        Reject: unreadable, truncated or no_audio.
    """
    with _open(source) as container:
        if not container.streams.audio:
            raise Reject("no_audio", "the file has no audio stream")
        stream = container.streams.audio[0]
        rate = stream.rate
        # swr's mono downmix in float is 3 dB hot; stereo (or mono) at 16 bits leaves the averaging to us.
        to_s16 = av.AudioResampler(format="s16", layout="mono" if stream.channels == 1 else "stereo", rate=rate)
        pieces: list[np.ndarray] = []
        start, length = None, 0
        for frame in _frames(container, stream):
            if start is None:
                start = _time(frame, stream, container)
            elif frame.pts is not None:
                late = frame.time - start - length / rate
                if abs(late) > LONGEST:
                    raise Reject("unreadable", f"the audio timestamps jump by {late:.0f} s")
                if late > GAP:
                    pieces.append(np.zeros(round(late * rate), np.float32))
                    length += len(pieces[-1])
                elif late < -GAP:
                    continue
            for s16 in to_s16.resample(frame):
                pieces.append(_mono(s16))
                length += s16.samples
        pieces += [_mono(s16) for s16 in to_s16.resample(None)]
    if not pieces:
        raise Reject("no_audio", "the audio stream holds no sound")
    return _resample(np.concatenate(pieces), rate), start


def _mono(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray().reshape(frame.samples, -1)
    return samples.mean(axis=1, dtype=np.float32) / 32768


def _resample(audio: np.ndarray, rate: int) -> np.ndarray:
    if rate == SAMPLE_RATE:
        return audio
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
    frame.sample_rate = rate
    pieces = [f.to_ndarray().reshape(-1) for f in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces).clip(-1, 1)


@contextmanager
def _open(source: Path | bytes) -> Iterator[av.container.InputContainer]:
    """A container over one open file. With an empty protocol list a playlist cannot reach any other file."""
    try:
        with (
            io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file,
            av.open(file, options={"protocol_whitelist": "none"}) as container,
        ):
            yield container
    except (av.FFmpegError, OSError) as error:
        raise Reject("unreadable", error.strerror or str(error)) from None


def _frames(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.frame.Frame]:
    """Decoded frames of a stream in presentation order, single-threaded. Damaged packets are skipped if they are few.

    Raises Reject("truncated") where the file breaks off, Reject("unreadable") above one damaged packet in ten.
    """
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    packets = damaged = 0
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError as error:
            raise Reject("truncated", f"the file breaks off after {packets} {stream.type} packets: {error}") from None
        if packet is None:
            break
        packets += 1
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            damaged += 1
    if damaged > packets / 10:
        raise Reject("unreadable", f"{damaged} of {packets} {stream.type} packets do not decode")


def _time(frame: av.frame.Frame, stream: av.stream.Stream, container: av.container.InputContainer) -> float:
    """Presentation time of the first frame of a stream."""
    if frame.pts is not None:
        return float(frame.time)
    if stream.start_time is not None:
        return float(stream.start_time * stream.time_base)
    return _container_start(container)


def _container_start(container: av.container.InputContainer) -> float:
    return (container.start_time or 0) / av.time_base


def _read_video(source: Path) -> _Picture:
    with _open(source) as container:
        if not container.streams.video:
            raise Reject("no_video", "the file has no video stream")
        stream = container.streams.video[0]
        frames: list[np.ndarray] = []
        stamps: list[float | None] = []
        for frame in _frames(container, stream):
            if not frames:
                stamps.append(_time(frame, stream, container))
                shrink = min(1, LINES / min(frame.width, frame.height))
                width, height = round(frame.width * shrink), round(frame.height * shrink)
            else:
                stamps.append(None if frame.pts is None else float(frame.time))
            rgb = frame.to_ndarray(format="rgb24", width=width, height=height)
            frames.append(np.rot90(rgb, round(frame.rotation / 90)) if frame.rotation else rgb)
        if not frames:
            raise Reject("no_video", "the video stream holds no picture")
        declared = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate and 1 <= rate <= 240]
        times = mend_times(stamps, 1 / declared[0] if declared else 0.04)
        rate = _nearest_rate(times, declared)
        if times[-1] - times[0] > LONGEST:
            raise Reject("unreadable", f"the video timestamps span {times[-1] - times[0]:.0f} s")
        duration = float(stream.duration * stream.time_base) if stream.duration else None
        if duration is None and container.duration:
            duration = container.duration / av.time_base
        return _Picture(frames, times, rate, _container_start(container), duration)


def _nearest_rate(times: np.ndarray, declared: list[float]) -> float:
    """The declared frame rate that the presentation times bear out best; theirs, or 25, where none is declared."""
    measured = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None
    if measured is None:
        return declared[0] if declared else 25.0
    return min(declared, key=lambda rate: abs(rate - measured), default=float(measured))


def mend_times(stamps: list[float | None], step: float) -> np.ndarray:
    """Rising times (T,) in seconds of frames in presentation order from their timestamps, some missing or wrong.

    Complete, rising stamps are taken as they are. Program streams stamp only some pictures, and some of those with a
    neighbour's time: there, a stamp that leaves the constant rate ``1 / step`` alone among its neighbours is dropped,
    and what is missing continues at the constant rate.
    """
    times = np.array([np.nan if stamp is None else stamp for stamp in stamps])
    index = np.arange(len(times))
    stamped = np.flatnonzero(np.isfinite(times))
    if len(stamped) == len(times) and (np.diff(times) > 0).all():
        return times
    if not len(stamped):
        return index * step
    lag = times[stamped] - stamped * step
    trusted = np.abs(lag - median_filter(lag, 5, mode="nearest")) < step / 2
    if not trusted.any():
        trusted[:] = True
    return np.maximum.accumulate(index * step + np.interp(index, stamped[trusted], lag[trusted]))


def _refuse_truncated(picture: _Picture, sound_end: float) -> None:
    """A video is truncated when more than 0.2 s and more than a twentieth of its declared duration are missing.

    Where the length is not declared but found from the data (MPEG program streams, AVI) a cut file is a shorter clip.
    """
    if picture.declared is None:
        return
    end = max(picture.end, sound_end)
    reached = max(end, end - float(picture.times[0]))  # Matroska declares the end, counted from zero
    if picture.declared - reached > max(0.2, picture.declared / 20):
        raise Reject("truncated", f"{reached:.2f} s decoded of the {picture.declared:.2f} s declared")


def decode_frames(source: Path | bytes, grey: bool = False) -> np.ndarray:
    """All frames of a shard's mp4: (T, H, W, 3) uint8 RGB, or (T, H, W) luma as stored (16-235) if ``grey``.

    Raises:
        Reject: unreadable, truncated or no_video.
    """
    with _open(source) as container:
        if not container.streams.video:
            raise Reject("no_video", "the file has no video stream")
        decoded = _frames(container, container.streams.video[0])
        frames = [_luma(frame) if grey else frame.to_ndarray(format="rgb24") for frame in decoded]
    if not frames:
        raise Reject("no_video", "the video stream holds no picture")
    return np.stack(frames)


def _luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


def encode_h264(frames: np.ndarray, fps: float) -> bytes:
    """An mp4 of frames (T, H, W, 3) uint8 RGB with even H and W, frame i at exactly i / fps.

    H.264, yuv420p, crf 20, no B-frames, one thread: equal frames give equal bytes.
    """
    rate = Fraction(fps).limit_denominator(1001)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=H264)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = 1 / rate
        for index, rgb in enumerate(frames):
            # Left to the encoder, the conversion to yuv420p differs from run to run.
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def encode_flac(audio: np.ndarray) -> bytes:
    """A 16-bit FLAC of audio (N,) float32 in [-1, 1] at 16 kHz."""
    pcm = np.round(audio * 32768).clip(-32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """Audio (N,) float32 in [-1, 1] of a shard's FLAC. Raises Reject("unreadable") unless it is 16 kHz mono."""
    try:
        audio, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise Reject("unreadable", str(error)) from None
    if rate != SAMPLE_RATE or audio.ndim != 1:
        raise Reject("unreadable", f"the audio is {rate} Hz with {audio.ndim} dimensions, not 16 kHz mono")
    return audio


def mux(video: Path | bytes, audio: np.ndarray, out: Path) -> None:
    """Write ``out`` (.mp4): the video stream of ``video`` as it is, and ``audio`` as AAC from its first frame on.

    Args:
        video: file or its bytes; its own sound is left out.
        audio: (N,) float32 in [-1, 1] at 16 kHz.

    Raises:
        Reject: unreadable or no_video; unreadable also where an mp4 cannot hold the stream.
    """
    with _open(video) as source, av.open(str(out), "w", format="mp4") as target:
        if not source.streams.video:
            raise Reject("no_video", "the file has no video stream")
        picture = source.streams.video[0]
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
    stamped = all(packet.pts is not None and packet.dts is not None for packet in packets)
    if not stamped or any(a.dts >= b.dts for a, b in pairwise(packets)):
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
            packet.pts = place.get(number, number) * step
            packet.dts = (number - late) * step
            packet.duration = step
    first = min((packet.pts for packet in packets), default=0)
    for packet in packets:
        packet.pts -= first
        packet.dts -= first
    return packets
