"""What frame rates do to the times of pictures and to measured offsets.

    python tests/stress/frame_rate_table.py RUN [clips]

Each generated clip is written at every rate in two ways: filmed, its scene drawn at the times of that rate, and
converted, the pictures of 25 a second repeated as ``ffmpeg -r`` does. A file is read at its own rate and at the rate of
RUN's corpus, as slts offsets does. ``picture`` is by how many ms what the file shows is older than the time it is shown
at, told by pictures that show their number; ``offset`` is the mean change of RUN's offset, by the centre of its
probabilities, against the same clips at 25 frames a second. What is repeated stands still and so lags by half of what
the longer display adds; ``offset`` less ``picture`` is what the reading itself does. Bar: 3 ms for it, and 3 ms for
``picture`` where nothing is repeated; read as slts offsets does, for ``offset`` alone. ``spread`` is the standard
deviation of the change from clip to clip. Exit status 1 above the bar.
"""

import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from unittest import mock

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from slts.config import compose
from slts.corpora import load_corpus, synthetic
from slts.data.media import read_clip
from slts.offsets.estimation import reading_rate
from slts.systems.trained import TrainedRun, load_run
from slts.systems.videos import as_batch, face_crops

RATES = {"30": 30.0, "29.97": 30000 / 1001, "50": 50.0, "59.94": 60000 / 1001, "120": 120.0}
BAR = 3.0
SPREAD = 60
"""Milliseconds on both sides of the likeliest offset over which the centre is taken."""


def dropped(count: int) -> np.ndarray:
    """Numbers of the frames that a variable rate leaves of ``count``: all but every seventh and eleventh."""
    index = np.arange(count)
    return index[(index % 7 != 3) & (index % 11 != 5)]


def repeated(count: int, rate: float) -> np.ndarray:
    """Which of ``count`` frames, 25 a second, stands at each tick of ``rate``: each from the nearest tick on."""
    ticks = np.arange(int(count / 25 * rate))
    return np.searchsorted(np.round(np.arange(count) / 25 * rate), ticks, side="right") - 1


def write(path: Path, frames: np.ndarray, times: np.ndarray, audio: np.ndarray) -> Path:
    """A lossless QuickTime file of frames (T, H, W, 3) at ``times`` (T,) in seconds and sound (N,) at 16 kHz."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("qtrle", rate=1000)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "rgb24"
        picture.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for rgb, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        pcm = (audio * 32767).clip(-32768, 32767).astype(np.int16)
        heard = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = 16000, 0, Fraction(1, 16000)
        container.mux([*sound.encode(heard), *sound.encode(None)])
    return path


def numbered(numbers: np.ndarray) -> np.ndarray:
    """Frames (T, 48, 64, 3) that show their number in stripes."""
    bits = numbers[:, None] >> np.arange(16) & 1
    return np.broadcast_to(np.repeat(255 * bits, 4, 1)[:, None, :, None], (len(numbers), 48, 64, 3)).astype(np.uint8)


def shown_lag(path: Path, numbers: np.ndarray, taken: np.ndarray, times: np.ndarray, fps: float | None) -> float:
    """Mean ms by which pictures, ``taken`` at these seconds and shown at ``times``, are older than when read.

    Between two read pictures the networks interpolate, so that the time shown does too.
    """
    clip = read_clip(write(path, numbered(numbers), times, np.full(round(16000 * (times[-1] + 0.04)), 0.1)), fps=fps)
    read = (clip.frames[:, 24, 1::4].mean(2) > 128) @ (1 << np.arange(16))
    at = np.arange(len(read)) / clip.fps
    fine = np.arange(0.2, at[-1] - 0.2, 0.001)
    return 1000 * float(np.mean(fine - np.interp(fine, at, taken[np.searchsorted(numbers, read)])))


def centre(run: TrainedRun, path: Path, fps: float | None) -> float:
    """The run's offset of a file in ms, to a fraction of its step of 10 ms."""
    clip = read_clip(path, fps=fps)
    estimate = run.task.offsets(as_batch(run, face_crops(run, clip, None), clip.fps, 0, clip.audio))
    chance = estimate.distribution[0].double().cpu().numpy()
    steps = 10.0 * (np.arange(len(chance)) - len(chance) // 2)
    chance = np.where(np.abs(steps - float(estimate.ms[0])) <= SPREAD, chance, 0)
    return float((chance * steps).sum() / chance.sum())


def drawn(spec: synthetic.Spec, phones: list, offset_ms: float, rate: float) -> np.ndarray:
    """The pictures of a generated clip as a camera of that rate would have taken them."""
    spec = replace(spec, frames=int(spec.frames / synthetic.FPS * rate))
    with mock.patch.object(synthetic, "FPS", rate):
        return synthetic._sensor(synthetic.scene(spec, phones, offset_ms), spec)


def main(run_folder: str, clips: str = "12") -> int:
    run, worst = load_run(run_folder), 0.0
    prepared = run.corpus["config"]
    config, _ = compose("prepare", ["corpus=synthetic", "profile=lagged", f"size={prepared['size']}", "seed=99"])
    specs = [utterance.load.args[0] for utterance in load_corpus("synthetic", config)[0][: int(clips)]]
    rows = ["25", "variable rate", *(f"{name}, {way}" for name in RATES for way in ("filmed", "converted"))]
    lags, offsets = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mov"
        for spec in specs:
            clip = synthetic.render(spec)
            phones = [tuple(phone) for phone in clip.extra["phones"]]
            count = len(clip.frames)
            for name in rows:
                rate = RATES.get(name.partition(",")[0], 25.0)
                kept = dropped(count) if name.startswith("variable") else np.arange(count)
                frames, times, taken = clip.frames[kept], kept / 25, kept / 25
                if name.endswith("filmed"):
                    frames = drawn(spec, phones, clip.offset_ms, rate)
                    times = taken = np.arange(len(frames)) / rate
                elif name.endswith("converted"):
                    on_screen = repeated(count, rate)
                    frames, times, taken = clip.frames[on_screen], np.arange(len(on_screen)) / rate, on_screen / 25
                for fps in (None, reading_rate(run)):
                    if (name, fps) not in lags:
                        lags[name, fps] = shown_lag(path, np.arange(len(times)), taken, times, fps)
                    write(path, frames, times, clip.audio)
                    offsets.setdefault((name, fps), []).append(centre(run, path, fps))
    print("| rate | read at | picture, ms | offset, ms | offset less picture, ms | spread, ms |")
    print("|---|---|---|---|---|---|")
    for (name, fps), found in offsets.items():
        changes = np.subtract(found, offsets["25", None])
        change = float(changes.mean())
        own, lag = change - lags[name, fps], lags[name, fps]
        worst = max(worst, abs(own), abs(change) if fps else 0, 0 if name.endswith("converted") else abs(lag))
        print(
            f"| {name} | {fps or 'its own'} | {lag:+.2f} | {change:+.2f} | {own:+.2f} | {changes.std():.2f} |",
            flush=True,
        )
    print(f"{len(specs)} clips; worst {worst:.2f} ms, of a bar of 3")
    return int(worst > BAR)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
