"""What prepare takes, measured on one and two workers here and simulated on clusters: the record behind scaling.ipynb.

    python analysis/scaling.py grid=GRID heads=FOLDER [clips=64] [rounds=2] [record=analysis/scaling.json]

GRID holds s1/*.mpg of 360x288 pixels, of which some are also measured as films of 1280x720, scaled up and encoded anew;
FOLDER holds any talking heads. Measured are the stages of prepare by the sample that ``dry_run=true`` reads; prepare of
``clips`` files by one and by two workers, in seconds of processor of the process that works longest, which is the time
on idle cores, and of the clock, which other programs lengthen; and what a loader process takes for a clip. Simulated,
by cluster_model.py with these figures, are 5,000 hours on 1 to 64 nodes, nodes that fail, and training from object
storage.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import psutil
from cluster_model import Cluster, Feed, Feeding, Preparation, Work

from slts.config import compose
from slts.corpora import load_corpus
from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.dry_run import measure
from slts.data.loader import training_loader
from slts.data.media import encode_h264, mux, read_clip
from slts.data.parallel import one_thread
from slts.data.preparation import recipe_of
from slts.files import write_whole
from slts.memory import peak_bytes

HOURS, SECONDS = 5000, 6.0
"""Of video in all and of a clip: AVSpeech is 4,700 hours in clips of 3 to 10 s."""
LENGTHS = 0.35
"""Standard deviation of their lengths, as a part of the mean."""
FILM_RATE = 250e3
"""Bytes a second of such a film as downloaded; that of the films encoded here says nothing of it."""
NAMES, SHARD_NAMES = 4, 12
"""Operations on names of a clip (list, look up, open twice) and of a shard (its tar, its sidecar, their temporary names
and renames, and whether they are there)."""
MERGING = 3e-4
"""Seconds of a shard at the end, of which the command reads the sidecar twice."""
ASSUMED = {"cores": 32, "network": 3e9, "names": 5e3, "start": 5.0}
"""Of a node: 25 Gbit/s, and of one storage for all: operations on names a second."""
SHARD_CLIPS = 4
"""Of what is prepared here; what is simulated has the default."""
NODES = (1, 2, 4, 8, 16, 32, 64)
STORAGE = (0.5e9, 2e9, 10e9)


def main(given: dict[str, str]) -> None:
    one_thread()
    record = Path(given.get("record", "analysis/scaling.json"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        videos = sorted(Path(given["grid"], "s1").glob("*.mpg"))
        enlarge(videos[-12:], folder / "films")
        keys = {
            "GRID, 360x288": ("corpus=grid", f"root={given['grid']}"),
            "heads, 474x256": ("corpus=folder", f"root={given['heads']}"),
            "films, 1280x720": ("corpus=folder", f"root={folder / 'films'}"),
        }
        # Each in a process of its own, so that its memory is its own.
        with ProcessPoolExecutor(1, get_context("spawn"), one_thread, max_tasks_per_child=1) as fresh:
            roots = dict(zip(keys, fresh.map(stages, keys.values()), strict=True))
        workers = scaling(videos[: int(given.get("clips", 64))], folder, int(given.get("rounds", 2)))
        decoding = decoding_seconds(folder / "out-1")
    facts = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "assumed": ASSUMED}
    found = {**facts, "roots": roots, "workers": workers, "decoding": decoding}
    found |= {"hours": HOURS, **simulated(roots, decoding)}
    write_whole(record, (json.dumps(found, indent=1) + "\n").encode())


def enlarge(files: list[Path], films: Path) -> None:
    """Clips of 360x288 as films of 1280x720, with what was at their sides drawn out."""
    films.mkdir()
    for path in files:
        clip = read_clip(path)
        large = [cv2.resize(frame, (900, 720)) for frame in clip.frames]
        frames = [cv2.copyMakeBorder(frame, 0, 0, 190, 190, cv2.BORDER_REPLICATE) for frame in large]
        mux(encode_h264(np.stack(frames), clip.fps), clip.audio, films / f"{path.stem}.mp4")


def stages(keys: tuple[str, ...]) -> dict:
    """What a clip of a root takes, from the sample of ``dry_run=true``."""
    config, _ = compose("prepare", list(keys))
    began = time.process_time()
    utterances, _ = load_corpus(config.corpus, config)
    listing = (time.process_time() - began) / len(utterances)
    sample = measure(utterances, recipe_of(config, None), config)
    video = sample.total(lambda file: file.video)
    work = sample.total(lambda file: file.stages.total())
    seconds = np.array([file.stages.total() / file.video for file in sample.measured if file.video])
    return {
        "listing_seconds_a_file": round(listing, 6),
        "files_read": len(sample.measured),
        "rejected": sum(bool(file.rejected) for file in sample.measured),
        "core_seconds_a_second": round(work.value / video.value, 5),
        "margin": round(work.margin / video.value, 5),
        "spread": round(float(seconds.std(ddof=1) / seconds.mean()), 3),
        "written_a_second": round(sample.total(lambda file: file.disk).value / video.value),
        "stages": {name: round(share, 4) for name, share in sample.shares().items()},
        "peak_mb": round(peak_bytes() / 1e6),
    }


def scaling(files: list[Path], folder: Path, rounds: int) -> dict:
    """Prepare of some files by one and by two workers, in turn, and once more where nothing is left to do."""
    root = folder / "root"
    root.mkdir()
    for file in files:
        (root / file.name).symlink_to(file)
    runs: dict[str, list[dict]] = {"1": [], "2": []}
    for number in range(rounds):
        for workers in runs:
            out = folder / (f"out-{workers}" if number == 0 else f"out-{workers}-{number}")
            run = prepare(root, out, workers)
            runs[workers].append(run | {"idle": prepare(root, out, workers)["processor"]})
    measured = {
        workers: {key: round(float(np.median([run[key] for run in given])), 3) for key in given[0]}
        for workers, given in runs.items()
    }
    # Before it works a worker process starts Python as the command did.
    starts = {"1": measured["1"]["idle"], "2": 2 * measured["1"]["idle"]}
    core_seconds = round((measured["1"]["processor"] - starts["1"]) / len(files), 4)
    work = {"clips": len(files), "core_seconds": core_seconds, "shard_clips": SHARD_CLIPS}
    for workers, values in measured.items():
        values["start"] = starts[workers]
        found = Preparation(Work(**work), Cluster(cores=int(workers), start=starts[workers])).outcome()
        values["foretold"] = round(found.seconds, 3)
    return {"measured": measured, "work": work}


def prepare(root: Path, out: Path, workers: str) -> dict[str, float]:
    """Seconds of the clock, and of processor: of the command, and of the worker that had most."""
    keys = ("corpus=folder", f"root={root}", f"out={out}", f"workers={workers}", f"shard_clips={SHARD_CLIPS}")
    began, used = time.monotonic(), {}
    process = psutil.Popen([sys.executable, "-m", "slts.cli", "prepare", *keys], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            for one in [process, *process.children(recursive=True)]:
                used[one.pid] = sum(one.cpu_times()[:2])
        except psutil.Error:
            pass
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"slts prepare {' '.join(keys)} ended with status {process.returncode}")
    command = used.pop(process.pid)
    return {"clock": time.monotonic() - began, "processor": command + max(used.values(), default=0.0)}


def decoding_seconds(shards: Path) -> float:
    """Of processor, for a clip of 3 s in training, from shards that were read before."""
    dataset = ShardDataset(shards, "train", 112, 1, Augmentation(0.89, 0.5, chunk_seconds=3.0))
    batches = iter(training_loader(dataset, 8, 0, 0, 1, workers=0))
    for _ in range(len(dataset) // 8 + 1):
        next(batches)
    began = time.process_time()
    for _ in range(8):
        next(batches)
    return round((time.process_time() - began) / 64, 5)


def simulated(roots: dict, decoding: float) -> dict:
    root, listing = roots["films, 1280x720"], roots["GRID, 360x288"]["listing_seconds_a_file"]
    work = Work(
        clips=round(HOURS * 3600 / SECONDS),
        core_seconds=root["core_seconds_a_second"] * SECONDS,
        spread=float(np.hypot(root["spread"], LENGTHS)),
        read=FILM_RATE * SECONDS,
        written=root["written_a_second"] * SECONDS,
        names=NAMES,
        shard_names=SHARD_NAMES,
        listing=listing,
        merging=MERGING,
    )
    return {
        "work": asdict(work),
        "nodes": [
            {"nodes": nodes, "storage": storage, **outcome(work, Cluster(nodes=nodes, storage=storage, **ASSUMED))}
            for storage in STORAGE
            for nodes in NODES
        ],
        "failures": failures(work),
        "feeds": feeds(decoding, root["written_a_second"] * 3),
    }


def outcome(work: Work, cluster: Cluster) -> dict:
    found = Preparation(work, cluster).outcome()
    use = {name: round(part, 3) for name, part in found.use.items()}
    lost = found.lost / (work.clips * work.core_seconds)
    return {
        "hours": round(found.seconds / 3600, 3),
        "bottleneck": found.bottleneck,
        "use": use,
        "lost": round(lost, 5),
        "tail_s": round(found.tail),
    }


def failures(work: Work) -> list[dict]:
    """Sixteen nodes, by clips a shard and by hours between failures of a node."""
    cluster = Cluster(nodes=16, storage=10e9, **ASSUMED)
    return [
        {
            "shard_clips": clips,
            "mtbf_h": mtbf,
            **outcome(replace(work, shard_clips=clips), replace(cluster, mtbf=3600 * mtbf)),
        }
        for clips in (64, 512, 4096)
        for mtbf in (10, 100, 10_000)
    ]


def feeds(decoding: float, clip: float) -> list[dict]:
    """The fewest connections with which a GPU waits for less than 1 % of the time at 500 clips a second."""
    found = []
    for shard_clips in (64, 512):
        for bandwidth in (20e6, 60e6):
            for latency in (0.02, 0.1, 0.5):
                window = 2048 // shard_clips
                feed = Feed(
                    clip=clip, decoding=decoding, workers=4, shard_clips=shard_clips, window_shards=window,
                    bandwidth=bandwidth, latency=latency,
                )  # fmt: skip
                tried = {n: Feeding(replace(feed, connections=n)).outcome() for n in (1, 2, 3, 4, 6, 8, 12, 16)}
                enough = next((n for n, fed in tried.items() if fed.waited < 0.01), None)
                found.append(
                    {
                        "shard_clips": shard_clips, "window_shards": window, "bandwidth": bandwidth, "latency": latency,
                        "clips_a_second_of_one": round(tried[1].clips_a_second), "connections": enough,
                        "first_batch_s": round(tried[enough].first, 2) if enough else None,
                        "buffer_mb": round(2 * window * shard_clips * clip / 1e6),
                    }
                )  # fmt: skip
    return found


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
