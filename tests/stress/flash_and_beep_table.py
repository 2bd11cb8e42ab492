"""How exactly chunks keep the times of their source: a table over containers, start times, edit lists and rates.

    python tests/stress/flash_and_beep_table.py [seconds] [chunk_seconds]

Each file holds a train of one-frame flashes, each with a chirp that sets in with it. The file is cut as slts prepare
cuts it. In every chunk, flashes are found by their frame index on the time grid and chirps by a matched filter, to a
fraction of a sample; both are compared with where the source was told to put them. Bar: 1 ms. Exit status 1 above it,
or when an event is lost or comes twice.
"""

import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from slts.data.cutting import spans
from slts.data.media import probe, read_clip

RATES = {"25": Fraction(25), "29.97": Fraction(30000, 1001), "30": Fraction(30)}
RATE = 44100
LENGTH = 0.03
"""Seconds of a chirp."""
EDGE = 0.05
"""Seconds from a chunk's end within which a chirp is not whole and not looked for."""
BAR = 1e-3


@dataclass(frozen=True)
class Case:
    """A kind of file. Negative starts become an edit list that cuts into a group of pictures."""

    name: str
    suffix: str
    video: str = "libx264"
    sound: str = "flac"
    video_start: Fraction = Fraction(0)
    """In frames."""
    audio_start: Fraction = Fraction(0)
    dropped: int | None = None
    """Every so-manieth frame is left out, but for flashes and their neighbours: what is nearest stands in for it."""


CASES = [
    Case("mkv, B-frames", ".mkv"),
    Case("mkv, sound first", ".mkv", video_start=Fraction(15), audio_start=Fraction(6)),
    Case("mkv, picture first", ".mkv", video_start=Fraction(5), audio_start=Fraction(53, 4)),
    Case("mkv, variable rate", ".mkv", dropped=5),
    Case("mp4, B-frame and AAC edit lists", ".mp4", sound="aac"),
    Case("mp4, sound first", ".mp4", video_start=Fraction(12), audio_start=Fraction(0)),
    Case("mp4, picture first", ".mp4", sound="aac", video_start=Fraction(0), audio_start=Fraction(29, 3)),
    Case("mp4, edit list into a GOP", ".mp4", video_start=Fraction(-10), audio_start=Fraction(-10)),
    Case("mov, edit list, sound first", ".mov", sound="pcm_s16le", video_start=Fraction(9), audio_start=Fraction(-4)),
    Case("MPEG-TS, B-frames", ".ts", sound="mp2"),
    Case("MPEG-PS, B-frames", ".mpg", video="mpeg1video", sound="mp2"),
    Case("avi", ".avi", video="mpeg4", sound="pcm_s16le"),
]


def chirp(time: np.ndarray) -> np.ndarray:
    """A sweep from 400 to 4000 Hz over LENGTH under a Hann window, zero outside."""
    inside = (time >= 0) & (time < LENGTH)
    sweep = np.sin(2 * np.pi * (400 * time + 3600 * time**2 / 2 / LENGTH))
    return inside * sweep * np.sin(np.pi * np.clip(time / LENGTH, 0, 1)) ** 2 / 2


def write_source(path: Path, case: Case, fps: Fraction, seconds: float) -> np.ndarray:
    """Write the file; returns the events (E,) in seconds on the clock of the streams."""
    count = int(seconds * fps)
    flashes = np.arange(7, count - 2, int(0.73 * fps)) + np.arange(len(range(7, count - 2, int(0.73 * fps)))) % 3
    flashes = flashes[flashes < count]
    events = (flashes + float(case.video_start)) / float(fps)
    time = np.arange(int(seconds * RATE)) / RATE + float(case.audio_start / fps)
    sound = np.zeros_like(time)
    for event in events:
        near = slice(*np.searchsorted(time, (event - 0.01, event + LENGTH + 0.01)))
        sound[near] += chirp(time[near] - event)
    pcm = (sound * 32767).round().astype(np.int16)
    tick = Fraction(1, 90000) if case.video == "libx264" else 1 / fps
    options = {"g": "50", "bf": "3"} if case.video == "libx264" else {"g": "12"}
    muxing = {"avoid_negative_ts": "disabled", "use_editlist": "1"} if case.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=muxing) as container:
        video = container.add_stream(case.video, rate=fps, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = tick
        if case.video == "mpeg1video":
            video.codec_context.max_b_frames = 2
        heard = container.add_stream(case.sound, rate=RATE, layout="mono")
        grey = {
            value: av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format="rgb24").reformat(
                format="yuv420p"
            )
            for value in (0, 255)
        }
        lit = set(flashes.tolist())
        packets = []
        for index in range(count):
            if case.dropped and index % case.dropped == 3 and not {index - 1, index, index + 1} & lit:
                continue
            picture = grey[255 if index in lit else 0]
            picture.pts, picture.time_base = round((index + case.video_start) / fps / tick), tick
            picture.pict_type = 0
            packets += video.encode(picture)
        packets += video.encode(None)
        packets = [(float(p.dts * p.time_base), p) for p in packets]
        for first in range(0, len(pcm), 1024):
            frame = av.AudioFrame.from_ndarray(pcm[None, first : first + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(case.audio_start / fps * RATE) + first
            packets += [(float(p.dts * p.time_base), p) for p in heard.encode(frame)]
        packets += [(float(p.dts * p.time_base), p) for p in heard.encode(None)]
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)
    return events


def chirp_time(audio: np.ndarray, about: float) -> float:
    """When a chirp sets in, in seconds, looked for within 15 ms: the peak of a matched filter, by a parabola."""
    template = chirp(np.arange(int(LENGTH * 16000)) / 16000)
    low = max(0, round((about - 0.015) * 16000))
    match = np.correlate(audio[low : low + len(template) + 480].astype(float), template, "valid")
    peak = int(match.argmax())
    shift = 0.0
    if 0 < peak < len(match) - 1:
        before, at, after = match[peak - 1 : peak + 2]
        shift = (before - after) / 2 / (before - 2 * at + after)
    return (low + peak + shift) / 16000


@dataclass
class Row:
    chunks: int
    found: int
    missing: int
    flash: float
    """Worst error of a flash, of a chirp, and of one against the other, in seconds."""
    beep: float
    together: float


def measure(path: Path, events: np.ndarray, case: Case, fps: Fraction, chunk_seconds: float) -> Row:
    duration, rate = probe(path)
    first = max(0.0, float(case.video_start / fps))
    plan = spans(duration, rate, chunk_seconds)
    flashes, beeps, apart, seen, clips = [0.0], [0.0], [0.0], [], 0
    covered = []
    for span in plan:
        try:
            clip = read_clip(path, span=span, fps=float(fps) if case.dropped else None)
        except Exception as error:
            if span is not plan[-1]:
                raise
            print(f"  rest {span}: {error}", file=sys.stderr)
            continue
        clips += 1
        start = first + clip.extra["start"]
        length = len(clip.frames) / clip.fps
        covered.append((start, start + length))
        assert abs(len(clip.audio) / 16000 - length) < BAR
        assert length <= chunk_seconds + BAR
        for index in np.flatnonzero(clip.frames.mean((1, 2, 3)) > 128):
            flash = index / clip.fps
            event = events[np.abs(events - start - flash).argmin()]
            seen.append(event)
            flashes.append(start + flash - event)
            if flash < length - EDGE:
                beep = chirp_time(clip.audio, event - start)
                beeps.append(start + beep - event)
                apart.append(flash - beep)
    expected = events[(events > covered[0][0] - BAR) & (events < covered[-1][1] - BAR)]
    missing = len(expected) - len(set(seen)) + len(seen) - len(set(seen))
    flash, beep, together = (float(np.abs(errors).max()) for errors in (flashes, beeps, apart))
    return Row(clips, len(seen), missing, flash, beep, together)


def main(seconds: float = 25.0, chunk_seconds: float = 8.0, cases=CASES, rates=RATES) -> int:
    print("| file | fps | chunks | events | lost or twice | flash, ms | beep, ms | picture to sound, ms |")
    print("|---|---|---|---|---|---|---|---|")
    worst, wrong = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            for name, fps in rates.items():
                path = Path(folder) / f"source{case.suffix}"
                events = write_source(path, case, fps, seconds)
                row = measure(path, events, case, fps, chunk_seconds)
                errors = " | ".join(f"{1000 * error:.3f}" for error in (row.flash, row.beep, row.together))
                print(f"| {case.name} | {name} | {row.chunks} | {row.found} | {row.missing} | {errors} |", flush=True)
                worst, wrong = max(worst, row.together), wrong + row.missing
    print(f"worst {1000 * worst:.3f} ms, {wrong} events lost or twice")
    return int(worst > BAR or wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
