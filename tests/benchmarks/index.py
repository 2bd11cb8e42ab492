"""Memory and start-up time of the loader of one rank, for corpora of up to ten million clips.

    python tests/benchmarks/index.py [--clips 100000 1000000 10000000] [--shard-clips 1000] [--workers 2] [--batch 32]

The shards are links to one real shard, so that a corpus takes the disk of one shard and each of its shards is hashed,
indexed and decoded as any other. Every row is a process of its own: seconds from ``ShardDataset(...)`` to the first
batch, at the beginning and in the middle of a later epoch, with all shards mixed (the most that a batch can touch); and
the memory above that of Python with torch and the loader imported, of the process and its loader processes together
(pages that they share count once): after three batches, and with all clips indexed, as after an epoch, where pieces of
0.2 s leave out what batches take. Seconds of processor are over all of them, with the batches that loader processes had
begun meanwhile, and other programs disturb these less.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from slts.data.augmentation import Augmentation
from slts.data.dataset import ShardDataset
from slts.data.loader import training_loader
from slts.data.media import encode_flac, encode_h264
from slts.data.shard_source import SOUND, mark
from slts.data.shards import index_shard, write_shard
from slts.files import sha256


def make_shard(path: Path, clips: int) -> None:
    """One clip of 3 s under as many keys: a moving texture with camera noise, and noise."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 200, (112, 190, 3)).astype(np.int16)
    frames = [ground[:, i : i + 112] + rng.integers(-4, 5, (112, 112, 1)) for i in range(75)]
    video = encode_h264(np.stack(frames).clip(0, 255).astype(np.uint8), 25.0)
    sound = encode_flac(rng.normal(0, 0.02, 48000).astype(np.float32))
    facts = {"speaker": "s1", "fps": 25.0, "frames": 75, "offset_ms": None}
    write_shard(
        path, ({"key": f"s1_clip-{i:06d}", "mp4": video, "flac": sound, "json": facts} for i in range(clips))
    ).rename(path)


def make_corpus(folder: Path, shard: Path, shards: int, clips: int) -> Path:
    folder.mkdir()
    digest = sha256(shard)
    listed = [{"file": f"train-{i:06d}.tar", "sha256": digest, "clips": clips} for i in range(shards)]
    for entry in listed:
        (folder / entry["file"]).symlink_to(shard)
    split = {"clips": clips * shards, "hours": clips * shards / 1200, "speakers": 1}
    facts = {"name": "generated", "hash": "0", "splits": {"train": split}, "speakers": ["s1"], "mel": None}
    (folder / "corpus.json").write_text(json.dumps({**facts, "fps": [25.0], "size": 112, "shards": listed}, indent=1))
    return folder


def family() -> list[psutil.Process]:
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def megabytes() -> float:
    gc.collect()
    return sum(process.memory_full_info().pss for process in family()) / 1e6


def processor_seconds() -> float:
    return sum(sum(process.cpu_times()[:2]) for process in family())


def rank(corpus: Path, position: int, workers: int, batch: int, complete: bool) -> dict[str, float]:
    """What one rank takes that begins at a position."""
    torch.set_num_threads(1)
    imported, began, processor = megabytes(), time.monotonic(), processor_seconds()
    dataset = ShardDataset(corpus, "train", 112, 1, Augmentation(chunk_seconds=0.2 if complete else 3.0))
    if complete:  # as if every shard had been read once
        starts = np.array([entry["start"] for entry in index_shard(corpus / dataset.shards[0]["file"])])
        for number, shard in enumerate(dataset.shards):
            dataset.places.note(number, starts)
            SOUND.add(mark(corpus / shard["file"], shard["sha256"]))
    batches = iter(training_loader(dataset, batch, position, 0, 1, workers))
    next(batches)
    seconds, processor = time.monotonic() - began, processor_seconds() - processor
    list(islice(batches, 2))
    return {"imported": imported, "MB": megabytes() - imported, "seconds": seconds, "processor": processor}


def main(arguments: argparse.Namespace, folder: Path) -> None:
    shard = folder / "shard.tar"
    make_shard(shard, arguments.shard_clips)
    print(f"shards of {arguments.shard_clips} clips, {shard.stat().st_size / 1e6:.0f} MB; {arguments.workers} workers")
    print(f"{'clips':>10} {'':<24}{'s':>7}{'s of processor':>16}{'MB above imports':>18}")
    for clips in arguments.clips:
        corpus = make_corpus(folder / str(clips), shard, clips // arguments.shard_clips, arguments.shard_clips)
        for name, position, complete in (
            ("start", 0, False),
            ("resume in epoch 3", 7 * clips // 2, False),
            ("all indexed, epoch 1", 3 * clips // 2, True),
        ):
            given = ["--rank", str(corpus), str(position), str(arguments.workers), str(arguments.batch)]
            command = [sys.executable, __file__, *given, *(["complete"] if complete else [])]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{clips:>10} {name:<24}{found['seconds']:>7.1f}{found['processor']:>13.1f}{found['MB']:>18.0f}",
                flush=True,
            )
    print(f"Python with torch and the loader imported: {found['imported']:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        where, *numbers = sys.argv[2:6]
        print(json.dumps(rank(Path(where), *map(int, numbers), complete="complete" in sys.argv[6:])))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--shard-clips", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    with tempfile.TemporaryDirectory() as temporary:
        main(parser.parse_args(), Path(temporary))
