"""Clips a second that reach training on one core: our loader, the original files, plain webdataset.

    python tests/benchmarks/loader.py [--grid DIR] [--clips 60] [--rounds 5]

DIR holds GRID's s1/*.mpg, which are prepared as shards of 112x112 face crops by slts prepare; without it the clips are
generated, and their original files are 360x288 MPEG-1 with MP2 sound, as GRID's are. All batches are of whole 3 s
clips, decoded and stacked; ours are also cropped, mirrored and resized. The rows are measured in turn, round by round,
in processor time of this process, so that other programs disturb them less; medians. Memory is measured first.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import soundfile
import torch
import webdataset

sys.path.insert(0, str(Path(__file__).parents[2]))
from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.loader import training_loader
from slts.data.shards import index_shard
from slts.memory import keep_freed_memory

BATCH = 6
CHANGE = Augmentation(0.89, 0.5, chunk_seconds=3.0)


def generated_files(folder: Path, count: int) -> list[Path]:
    """Moving texture with camera noise and a tone, 75 frames."""
    rng = np.random.default_rng(0)
    for clip in range(count):
        ground = cv2.resize(
            rng.integers(0, 255, (24, 30, 3), dtype=np.uint8), (400, 320), interpolation=cv2.INTER_CUBIC
        )
        with av.open(str(folder / f"clip{clip:03d}.mpg"), "w", format="mpeg") as container:
            video = container.add_stream("mpeg1video", rate=25, options={"threads": "1"})
            video.width, video.height, video.pix_fmt, video.bit_rate = 360, 288, "yuv420p", 1_000_000
            sound = container.add_stream("mp2", rate=44100, layout="mono")
            for i in range(75):
                x = round(16 + 12 * np.sin(i / 9 + clip))
                moved = ground[x : x + 288, x : x + 360].astype(np.int16) + rng.integers(-4, 5, (288, 360, 1))
                frame = av.VideoFrame.from_ndarray(moved.clip(0, 255).astype(np.uint8), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            tone = (8000 * np.sin(np.arange(3 * 44100) * (0.02 + clip / 999))).astype(np.int16)
            for start in range(0, len(tone) - 1151, 1152):
                frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1152], format="s16", layout="mono")
                frame.sample_rate, frame.pts = 44100, start
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return sorted(folder.glob("*.mpg"))


def prepare(files: list[Path], folder: Path, faces: str) -> Path:
    """Shards of 112x112 crops by the real command, all clips in the train split."""
    root, out = folder / "root", folder / "shards"
    root.mkdir()
    for file in files:
        shutil.copy(file, root)
    listing = "".join(f"{file.name},s1,train\n" for file in files)
    (root / "metadata.csv").write_text(f"file,speaker,split\n{listing}")
    settings = ["corpus=folder", f"root={root}", f"out={out}", "size=112", f"faces={faces}", "workers=1"]
    subprocess.run([sys.executable, "-m", "slts.cli", "prepare", *settings], check=True, stdout=subprocess.DEVNULL)
    return out


def ours(shards: Path, channels: int, cache_bytes: int = 0) -> Iterator:
    dataset = ShardDataset(shards, "train", 112, channels, CHANGE, cache_bytes=cache_bytes)
    return iter(training_loader(dataset, BATCH, 0, 0, 1, workers=0))


def decode(source: str | io.BytesIO, grey: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Every frame, and the sound as 16 kHz mono where there is any, with PyAV as its guide does it, in one thread."""
    how = "gray" if grey else "rgb24"
    resampler, frames, pieces = av.AudioResampler("s16", "mono", 16000), [], []
    with av.open(source) as container:
        for stream in container.streams.video:
            stream.codec_context.thread_count = 1  # a core is what is compared, and loader processes share the cores
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append(frame.to_ndarray(format=how))
            else:
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    return np.stack(frames), np.concatenate(pieces) if pieces else None


def original(files: list[Path], grey: bool) -> Iterator:
    while True:
        for i in range(0, len(files) - BATCH + 1, BATCH):
            clips = [decode(str(file), grey) for file in files[i : i + BATCH]]
            frames, samples = min(len(v) for v, _ in clips), min(len(a) for _, a in clips)
            yield np.stack([v[:frames] for v, _ in clips]), np.stack([a[:samples] for _, a in clips])


def plain_webdataset(shards: Path, grey: bool) -> Iterator:
    def read(sample: dict) -> tuple:
        sound, _ = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
        return decode(io.BytesIO(sample["mp4"]), grey)[0], sound, json.loads(sample["json"])

    urls = sorted(map(str, shards.glob("train-*.tar")))
    clips = iter(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).map(read).repeat())
    while batch := list(islice(clips, BATCH)):
        frames, samples = min(len(v) for v, *_ in batch), min(len(a) for _, a, _ in batch)
        yield np.stack([v[:frames] for v, *_ in batch]), np.stack([a[:samples] for _, a, _ in batch])


def milliseconds(batches: Iterator, steps: int) -> float:
    began = time.process_time()
    for _ in range(steps):
        next(batches)
    return 1000 * (time.process_time() - began) / (steps * BATCH)


def sizes(shards: Path, member: str) -> float:
    entries = [entry for shard in shards.glob("*.tar") for entry in index_shard(shard)]
    return float(np.mean([entry["members"][member][1] for entry in entries])) / 1024


def memory(shards: Path, workers: int, clips: int) -> list[float]:
    """MB of this process and its loader processes after each of 30 epochs (private to them, shared pages by share)."""
    dataset = ShardDataset(shards, "train", 48, 1, CHANGE, cache_bytes=20_000_000)
    batches = iter(training_loader(dataset, BATCH, 0, 0, 1, workers))
    used = []
    for _ in range(30):
        for _ in range(-(-clips // BATCH)):
            next(batches)
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        used.append(sum(process.memory_full_info().pss for process in family) / 1e6)
    return used


def main(arguments: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    keep_freed_memory()  # as training on a CPU does
    if arguments.grid:
        files, faces = sorted((arguments.grid / "s1").glob("*.mpg"))[: arguments.clips], "cascade"
    else:
        (folder / "generated").mkdir()
        files, faces = generated_files(folder / "generated", arguments.clips), "none"
    shards = prepare(files, folder, faces)
    for workers in (0, 2):
        used = memory(shards, workers, len(files))
        shown = ", ".join(f"{used[epoch - 1]:.0f}" for epoch in (1, 3, 10, 20, 30))
        print(f"MB after epochs 1, 3, 10, 20, 30 with {workers} workers: {shown}")
    rows: dict[str, Callable[[], Iterator]] = {}
    for name, channels in (("grey", 1), ("RGB", 3)):
        rows[f"shards, ours, {name}"] = ours(shards, channels)
        rows[f"shards, ours, {name}, cached"] = ours(shards, channels, 1 << 40)
        rows[f"shards, plain webdataset, {name}"] = plain_webdataset(shards, channels == 1)
        rows[f"original files, {name}"] = original(files, channels == 1)
    steps, times = max(1, len(files) // BATCH), {name: [] for name in rows}
    for batches in rows.values():  # the first epoch indexes and fills the caches
        milliseconds(batches, steps)
    for _ in range(arguments.rounds):
        for name, batches in rows.items():
            times[name].append(milliseconds(batches, steps))
    source = "GRID s1" if arguments.grid else "generated"
    print(
        f"{len(files)} clips ({source}); KiB a clip: mp4 {sizes(shards, 'mp4'):.1f}, flac {sizes(shards, 'flac'):.1f}"
    )
    print(f"{'':<32}{'ms a clip':>10}{'clips/s a core':>16}{'ours is x':>11}")
    for name, values in times.items():
        mean, best = (
            float(np.median(values)),
            float(np.median(times[f"shards, ours, {name.split(', ')[-1]}"])) if ("ours" not in name) else 0.0,
        )
        ratio = f"{mean / best:.1f}" if best else ""
        print(f"{name:<32}{mean:>10.2f}{1000 / mean:>16.0f}{ratio:>11}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, help="folder that holds s1/*.mpg")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    with tempfile.TemporaryDirectory() as temporary:
        main(parser.parse_args(), Path(temporary))
