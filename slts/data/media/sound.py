"""The sound of a file: mono samples at 16 kHz and the presentation time of the first; and files of such sound."""

import io
from pathlib import Path

import av
import numpy as np
import soundfile

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.data.media.container import LONGEST_JUMP, decoded_frames, frame_time, open_media, seek
from slts.data.media.streams import AS_PLAYERS, Streams, audio_stream
from slts.files import write_whole

GAP = 0.02
"""Seconds by which audio timestamps may drift from the sample count before a gap or an overlap is believed."""
RUN_UP = (1.0, 5.0, 25.0)
"""Seconds before a span at which decoding sets in: most codecs need the frames before for the first samples."""
AROUND = 0.1
"""Seconds of sound kept on both sides of a span, so that resampling has no edge in it."""
MOST = 2**28
"""Samples of sound that are held at once, at the file's own rate: an hour and a half at 48 kHz."""
STEADY = 100
"""Frames whose timestamps together tell when a span starts: Matroska rounds each to a millisecond."""


def pulled(graph: av.filter.Graph) -> list[np.ndarray]:
    """What a filter graph has ready of mono sound, piece by piece (n,)."""
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.BlockingIOError, av.EOFError):
            return pieces


def read_audio(
    source: Path | bytes, span: tuple[float, float] | None = None, streams: Streams = AS_PLAYERS
) -> tuple[np.ndarray, float]:
    """Decode the audio stream: ((N,) float32 in [-1, 1], mono 16 kHz; presentation time of sample 0 in seconds).

    Channels are decoded to 16 bits and averaged, then resampled by libswresample, whose delay is compensated: an
    instant of the file keeps its time, and the sample count is ffmpeg's. Gaps in the timestamps become silence.

    Args:
        source: a file or its bytes.
        span: presentation times from and to which sound is needed, from -inf for all before; somewhat more is
            returned, not the whole file.
        streams: which stream is taken.

    Raises:
        Reject: unreadable, truncated, no_audio, no_stream, or too_large before it fills the memory.
    """
    begin, end = (-np.inf, None) if span is None else (span[0] - AROUND, span[1] + AROUND)
    for run_up in (*RUN_UP, np.inf):
        with open_media(source, streams=streams) as container:
            stream = audio_stream(container)
            rate = stream.rate
            jumped = begin - run_up > _stated_start(stream)
            if jumped and not seek(container, stream, begin - run_up):
                continue
            found = _pieces(container, stream, begin, end, jumped)
        if found is not None:
            break
    assert found is not None  # the last run-up begins before the file
    pieces, start = found
    if not pieces:
        raise Reject("no_audio", "the audio stream holds no sound" + (" there" if span else ""))
    return _resample(np.concatenate(pieces), rate), start


def write_sound(file: Path, audio: np.ndarray) -> None:
    """A WAV file of 16 bits, whole or not at all, from (N,) floats in [-1, 1] at 16 kHz; what is beyond is clipped.

    Raises OSError where it cannot be written.
    """
    encoded = io.BytesIO()
    soundfile.write(encoded, np.clip(audio, -1, 1), SAMPLE_RATE, format="WAV")
    write_whole(file, encoded.getvalue())


def sound_start(source: Path) -> float:
    """Presentation time of the first sample in seconds. Raises Reject as read_audio does."""
    with open_media(source) as container:
        stream = audio_stream(container)
        frame = next(decoded_frames(container, stream), None)
        if frame is None:
            raise Reject("no_audio", "the audio stream holds no sound")
        return frame_time(frame, stream, container)


def sound_stop(source: Path | bytes) -> float:
    """Presentation time in seconds at which the last audio stream ends, -inf without any; nothing is decoded."""
    with open_media(source) as container:
        packets = container.demux(*container.streams.audio) if container.streams.audio else ()
        stops = (float((packet.pts + (packet.duration or 0)) * packet.time_base) for packet in packets if packet.pts)
        return max(stops, default=-np.inf)


def _stated_start(stream: av.AudioStream) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _pieces(
    container: av.container.InputContainer, stream: av.AudioStream, begin: float, end: float | None, jumped: bool
) -> tuple[list[np.ndarray], float] | None:
    """Mono pieces at the stream's rate that end after ``begin``, and the time of their first sample.

    Silence in a gap ends at ``end``. None where a jump to before ``begin`` led elsewhere.
    """
    rate = stream.rate
    # swr's mono downmix in float is 3 dB hot; stereo (or mono) at 16 bits leaves the averaging to us.
    to_s16 = av.AudioResampler(format="s16", layout="mono" if stream.channels == 1 else "stereo", rate=rate)
    pieces: list[np.ndarray] = []
    start, length, left_out = None, 0, 0
    lags: list[float] = []

    def take(piece: np.ndarray) -> None:
        nonlocal length, left_out
        length += len(piece)
        if start + length / rate > begin:
            pieces.append(piece)
            if length - left_out > MOST:
                raise Reject("too_large", f"more than {MOST / rate / 60:.0f} minutes of sound do not fit the memory")
        else:
            left_out += len(piece)

    for frame in decoded_frames(container, stream, end):
        if start is None:
            if jumped and (frame.pts is None or frame.time > begin):
                return None
            start = frame_time(frame, stream, container)
        elif frame.pts is not None:
            late = frame.time - start - length / rate
            if abs(late) > LONGEST_JUMP:
                raise Reject("unreadable", f"the audio timestamps jump by {late:.0f} s")
            if late > GAP:
                needed = late if end is None else min(late, max(0.0, end - start - length / rate))
                take(np.zeros(round(needed * rate), np.float32))
                lags.append(0.0)
            elif late < -GAP:
                continue
            else:
                lags.append(late)
        for s16 in to_s16.resample(frame):
            take(_mono(s16))
    if start is None:
        return None if jumped else ([], 0.0)
    for s16 in to_s16.resample(None):
        take(_mono(s16))
    if jumped and lags:
        start += float(np.mean(lags[:STEADY]))
    return pieces, start + left_out / rate


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
