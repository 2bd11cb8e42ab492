"""Long films of a real speaker whose sound drifts and jumps: found, repaired, measured again; and very long ones.

    python tests/stress/films.py CLIPS [--minutes 3] [--long 10 120]

CLIPS is a folder of short clips of one person, such as a speaker of GRID whom the shipped estimator never saw. They are
joined in random order to a film of so many minutes, in sync (as far as its clips are), with a drift of 40 ms a minute,
and with a jump of 160 ms in the middle. Printed of each: what is found, less the film's own, how long it took and how
much memory; then the same of the repaired file. With ``--long`` instead the film in sync, joined to itself until it
lasts so many minutes.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from slts import align, offset_of
from slts.data.media import read_clip

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from peak_memory import peak_mb

RATE, FPS = 16000, 25
DRIFT, JUMP = 40.0, 160.0
"""ms a minute; ms."""


def joined(clips: list[Path], minutes: float) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (T, H, W, 3) of 25 a second and sound (N,) of randomly ordered clips."""
    read = [read_clip(file, fps=FPS) for file in clips]
    rng = np.random.default_rng(0)
    order, seconds = [], 0.0
    while seconds < 60 * minutes:
        order += rng.permutation(len(read)).tolist()
        seconds = sum(len(read[i].frames) for i in order) / FPS
    pictures = np.concatenate([read[i].frames for i in order])[: round(60 * minutes * FPS)]
    sound = [np.resize(np.pad(read[i].audio, (0, RATE)), len(read[i].frames) * RATE // FPS) for i in order]
    return pictures, np.concatenate(sound)[: len(pictures) * RATE // FPS]


def film(pictures: np.ndarray, sound: np.ndarray, early_ms: Callable[[np.ndarray], np.ndarray], out: Path) -> Path:
    """A film whose picture lags its sound by ``early_ms`` (of seconds), written to ``out``."""
    instants = np.arange(len(sound)) / RATE
    moved = np.interp(instants + early_ms(instants) / 1000, instants, sound, right=0.0).astype(np.float32)
    with av.open(str(out), "w") as container:
        video = container.add_stream(
            "libx264", FPS, width=pictures.shape[2], height=pictures.shape[1], pix_fmt="yuv420p"
        )
        voice = container.add_stream("aac", RATE, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(video.encode(None))
        for first in range(0, len(moved), 1024):
            block = av.AudioFrame.from_ndarray(moved[None, first : first + 1024], "fltp", "mono")
            block.sample_rate, block.pts = RATE, first
            container.mux(voice.encode(block))
        container.mux(voice.encode(None))
    return out


def repeated(source: Path, times: int, out: Path) -> Path:
    """The film again and again, its packets copied; those of a codec's delay only the first time."""
    with av.open(str(out), "w") as target:
        copies, last, begin = {}, {}, 0.0
        for _ in range(times):
            with av.open(str(source)) as container:
                for stream in (container.streams.video[0], container.streams.audio[0]):
                    if stream.index not in copies:
                        copies[stream.index] = target.add_stream_from_template(stream)
                for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
                    if packet.dts is None:
                        continue
                    late, number = round(begin / packet.time_base), packet.stream.index
                    packet.pts, packet.dts = packet.pts + late, packet.dts + late
                    if packet.dts > last.get(number, -np.inf):
                        last[number], packet.stream = packet.dts, copies[number]
                        target.mux(packet)
                begin += container.duration / av.time_base
    return out


def measure(video: Path, answer: multiprocessing.SimpleQueue) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    found = offset_of(video)
    memory = peak_mb()
    answer.put((found, time.monotonic() - wall, time.process_time() - cpu, memory))


def say(name: str, video: Path, own_ms: float):
    """Measures a film in a process of its own, prints what is found, and returns it."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=measure, args=(video, answer))
    process.start()
    found, wall, cpu, memory = answer.get()
    process.join()
    cost = f"{found.curve.length / 60:.0f} min of film: {wall:.0f} s ({cpu:.0f} s of a core), {memory:.0f} MB"
    if found.course is None:
        print(f"{name:<18}{found.cannot_tell}; {cost}", flush=True)
        return found
    jumps = "".join(f", {after - before:+.1f} ms at {place:.2f} s" for place, before, after in found.course.jumps)
    print(
        f"{name:<18}{found.course.kind}, mean {found.offset_ms - own_ms:+.1f} ms, drift {found.course.drift:+.2f} ms a"
        f" minute{jumps}; {len(found.curve.told)} of {len(found.curve.windows)} windows; {cost}",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--long", type=float, nargs="+", default=[])
    options = parser.parse_args()
    clips = sorted(file for file in options.clips.iterdir() if file.suffix in (".mpg", ".mp4"))[:10]
    middle = 30 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        work, (pictures, sound) = Path(folder), joined(clips, options.minutes)
        plain = film(pictures, sound, np.zeros_like, work / "plain.mp4")
        own = say("in sync", plain, 0.0).offset_ms or 0.0
        for minutes in options.long:
            video = repeated(plain, round(minutes / options.minutes), work / f"{minutes:g}.mp4")
            say(f"{minutes:g} minutes", video, own)
        if options.long:
            return
        for name, course in (
            ("drift", lambda instants: DRIFT / 60 * (instants - middle)),
            ("jump", lambda instants: np.where(instants < middle, -JUMP / 2, JUMP / 2)),
        ):
            video = film(pictures, sound, course, work / f"{name}.mp4")
            found = say(name, video, own)
            if found.course:
                align(video, work / f"{name}-repaired.mp4", found)
                say("  repaired", work / f"{name}-repaired.mp4", own)


if __name__ == "__main__":
    main()
