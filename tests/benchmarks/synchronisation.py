"""Estimators of audio-visual offsets on people held out, beside each other, at known random offsets and on wrong sound.

    python tests/benchmarks/synchronisation.py heads=data/people:val,test:head* grid=data/people:val,test:s* \\
        generated=data/quickstart --syncnet runs/syncnet --video clip.mp4

A set is a folder of shards, perhaps some of its splits, perhaps those of its people whose names fit a pattern. Every
method sees the same trials (``slts.offsets.trials``): each clip at known offsets of up to +-300 ms, and with the sounds
of other clips. Printed of each set and method: mean absolute error and the shares within 20 and 40 ms, around the
person's median; the share of the trials that may be told by their confidence when, of these, 1 % are off by more than
80 ms, and of the wrong sounds that would then be told, too; the share that may be told when 5 % of the wrong sounds
are; milliseconds a trial without the search for a face; memory.
``--video`` times one clip from file to answer, the face search included, beside SyncNet's pipeline at its published
size: S3FD on every picture, squares of 224 pixels, the network (random weights where none are given, which take as
long). Enter another method as one function below and one line in METHODS.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
import torch

from slts.audio.mel import MEL_RATE, log_mel
from slts.audio.upsampling import mel_lengths, upsample_by_time
from slts.data.augmentation import Augmentation
from slts.data.batch import Batch
from slts.data.dataset import ShardDataset
from slts.data.faces import s3fd
from slts.data.media import read_clip
from slts.data.shards import read_corpus_json
from slts.offsets.alignment import offset_of
from slts.offsets.held_out import errors_ms
from slts.offsets.peak import peak
from slts.offsets.regression import regress_offsets
from slts.offsets.shipped import load_shipped
from slts.offsets.trials import trials
from slts.systems.matching.variation import mouth_views
from slts.systems.syncnet.network import SyncNet
from slts.systems.syncnet.published import load_syncnet
from slts.systems.syncnet.task import PUBLISHED, SyncNetTask, published

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from peak_memory import peak_mb

REACH = 40
"""Mel frames searched by the methods without a network."""
GROSS_MS, GROSS, WRONG = 80.0, 0.01, 0.05
FACE = 144, 1
"""Side and channels of the pictures for the methods that cut the mouth themselves."""
SHARES = (
    "within_20_ms",
    "within_40_ms",
    "told_at_1_percent_gross",
    "wrong_sound_told_there",
    "told_at_5_percent_wrong_sound",
)
MOUTH = 24
"""Side of the mouth for the methods without a network."""


class Trials:
    """The trials of one set: batches of one clip each, with pictures of the size that a method wants."""

    def __init__(self, place: str, options: argparse.Namespace):
        self.data, splits, self.people = (place.split(":") + ["test", "*"][place.count(":") :])[:3]
        self.splits = splits.split(",")
        self.options = options.own, options.other, False, options.most
        config = read_corpus_json(Path(self.data))["config"]
        self.mouth_only = config["faces"] == "none" or config["region"] == "mouth"

    def __call__(self, size: int, channels: int):
        for split in self.splits:
            dataset = ShardDataset(self.data, split, size, channels, Augmentation(1.0))
            for batch, facts in trials(dataset, split, *self.options):
                if fnmatch(facts[0].person, self.people):
                    yield batch, facts


def shipped(sets: Trials, _: argparse.Namespace):
    """The estimator in slts/weights."""
    task = load_shipped().task
    if sets.mouth_only:
        task.network.centre, task.network.side = (0.5, 0.5), 1.0
    for batch, facts in sets(112, 1):
        estimate = task.offsets(batch)
        yield facts, estimate.ms.numpy(), estimate.confidence.numpy()


def syncnet(sets: Trials, options: argparse.Namespace):
    """SyncNet by a run, or its published weights."""
    run = load_syncnet(options.syncnet)
    for batch, facts in sets(run.config.model.image_size, run.config.model.channels):
        estimate = run.task.offsets(batch)
        yield facts, estimate.ms.numpy(), estimate.confidence.numpy()


def ridge(sets: Trials, _: argparse.Namespace):
    """Ridge regression of the sound on single pictures, learned on the trials themselves, wrong sounds among them."""
    every, pictures, mels = [], [], []
    for batch, facts in sets(*FACE):
        seen, mel, lengths = _at_mel_rate(_mouths(sets, batch).flatten(2), batch)
        pictures += [clip[:n].numpy() for clip, n in zip(seen, lengths, strict=True)]
        mels += [clip[:n].numpy() for clip, n in zip(mel, lengths, strict=True)]
        every += facts
    yield every, *regress_offsets(pictures, mels, REACH)


def correlation(sets: Trials, _: argparse.Namespace):
    """Cross-correlation of how dark the middle of the mouth is, which opens it, with the sound's level."""
    for batch, facts in sets(*FACE):
        views = _mouths(sets, batch)[:, :, 0]
        third = MOUTH // 3
        dark = views.mean((2, 3)) - views[:, :, third : 2 * third, third : 2 * third].mean((2, 3))
        opening, mel, lengths = _at_mel_rate(dark[..., None], batch)
        found = [
            _correlated(o[:n, 0].numpy(), m[:n].mean(1).numpy()) for o, m, n in zip(opening, mel, lengths, strict=True)
        ]
        yield facts, *np.array(found).T


def _mouths(sets: Trials, batch: Batch) -> torch.Tensor:
    """(B, T, 1, MOUTH, MOUTH), from where the shipped estimator looks for the mouth."""
    network = load_shipped().task.network
    where = ((0.5, 0.5), 0.9) if sets.mouth_only else (network.centre, network.side)
    return mouth_views(batch.video, MOUTH, *where)


def _at_mel_rate(features: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    mel = log_mel(batch.audio)
    lengths = mel_lengths(batch.frames, batch.fps).clamp_max(mel.shape[1]).tolist()
    return upsample_by_time(features.float(), batch.frames, batch.fps, mel.shape[1]), mel, lengths


def _correlated(seen: np.ndarray, heard: np.ndarray) -> tuple[float, float]:
    """Offset in ms and the correlation there; both curves at the mel's rate."""
    curve = []
    for lag in range(-REACH, REACH + 1):
        first, last = max(0, lag), min(len(seen), len(heard) + lag)
        curve.append(
            np.corrcoef(seen[first:last] + 1e-9 * np.arange(last - first), heard[first - lag : last - lag])[0, 1]
        )
    curve = np.nan_to_num(curve, nan=-1.0)
    best = int(curve.argmax())
    return 1000 / MEL_RATE * (best - REACH + peak(curve, best)), float(curve[best])


METHODS: dict[str, Callable] = {
    "slts, shipped": shipped,
    "SyncNet": syncnet,
    "ridge regression": ridge,
    "opening x level": correlation,
}


def figures(found: dict[str, np.ndarray]) -> dict[str, float | None]:
    own = found["kind"] == "own"
    error = np.abs(errors_ms(found))
    order = np.argsort(-found["confidence"][own], kind="stable")
    gross = (error[own][order] > GROSS_MS).cumsum() / np.arange(1, own.sum() + 1)
    told = int(np.flatnonzero(gross <= GROSS).max(initial=-1)) + 1
    level = found["confidence"][own][order[told - 1]] if told else np.inf
    beaten = np.quantile(found["confidence"][~own], 1 - WRONG)  # by this share of the wrong sounds
    return {
        "people": len(set(found["person"])),
        "trials": int(own.sum()),
        "mae_ms": float(error[own].mean()),
        "within_20_ms": float((error[own] <= 20).mean()),
        "within_40_ms": float((error[own] <= 40).mean()),
        "told_at_1_percent_gross": told / int(own.sum()),
        "wrong_sound_told_there": float((found["confidence"][~own] >= level).mean()),
        "told_at_5_percent_wrong_sound": float((found["confidence"][own] > beaten).mean()),
    }


def measure(method: str, sets: Trials, options: argparse.Namespace, answer: multiprocessing.SimpleQueue) -> None:
    """Runs one method over one set in a process of its own, whose memory is the method's."""
    torch.set_num_threads(1)
    rows: dict[str, list] = {}
    with torch.no_grad():
        begun = time.process_time()
        for facts, ms, confidence in METHODS[method](sets, options):
            for name in ("person", "kind", "truth_ms"):
                rows.setdefault(name, []).extend(getattr(fact, name) for fact in facts)
            rows.setdefault("found_ms", []).extend(np.nan_to_num(ms, nan=1e3))
            rows.setdefault("confidence", []).extend(np.nan_to_num(confidence, nan=-1.0))
    took = time.process_time() - begun
    found = {name: np.array(values) for name, values in rows.items()}
    memory = peak_mb()
    answer.put(figures(found) | {"ms_a_trial": 1000 * took / len(found["kind"]), "memory_mb": memory})


def end_to_end(options: argparse.Namespace) -> dict[str, float]:
    """CPU seconds from one file to its answer, the median of three: ours, and SyncNet's pipeline."""
    torch.set_num_threads(1)
    detector = s3fd.read_network(Path(options.s3fd)) if options.s3fd else s3fd.S3FD().eval()
    file = Path(options.syncnet or "")
    network = published(file) if file.is_file() else SyncNetTask(PUBLISHED, SyncNet()).eval()
    taken: dict[str, list[float]] = {}
    for _ in range(3):
        for name, run in (
            ("slts, shipped", lambda: offset_of(options.video)),
            ("SyncNet, published size", lambda: syncnet_pipeline(options.video, detector, network)),
        ):
            begun = time.process_time()
            run()
            taken.setdefault(name, []).append(time.process_time() - begun)
    return {name: float(np.median(times)) for name, times in taken.items()}


@torch.no_grad()
def syncnet_pipeline(video: str, detector: torch.nn.Module, network: SyncNetTask) -> None:
    """S3FD on every picture at a quarter of its size, as published, then squares of 224 pixels and the network. Where
    the face is makes no difference to the time, so that the whole picture stands for it."""
    clip = read_clip(Path(video), fps=25)
    for picture in clip.frames:
        small = cv2.resize(picture, None, fx=0.25, fy=0.25)
        detector(torch.from_numpy(small).permute(2, 0, 1)[None].float())
    squares = np.stack([cv2.resize(picture, (224, 224)) for picture in clip.frames])
    network.offsets(
        Batch(
            video=torch.from_numpy(squares).permute(0, 3, 1, 2)[None],
            recorded=torch.from_numpy(clip.audio)[None],
            frames=torch.tensor([len(squares)]),
            fps=torch.tensor([25.0]),
            speaker=torch.tensor([0]),
            offset_ms=torch.tensor([float("nan")]),
            key=["clip"],
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="NAME=SHARDS[:SPLITS[:PEOPLE]]")
    parser.add_argument("--syncnet", help="run of task=syncnet, or its published weights")
    parser.add_argument("--own", type=int, default=4, help="trials a clip at offsets of its own sound")
    parser.add_argument("--other", type=int, default=4, help="trials a clip with another clip's sound")
    parser.add_argument("--most", type=int, help="clips of a split")
    parser.add_argument("--video", help="clip to be timed from file to answer")
    parser.add_argument("--s3fd", help="published weights of S3FD, for --video")
    parser.add_argument("--record", type=Path, help="JSON file that keeps the figures")
    options = parser.parse_args()
    rows = []
    for one in options.sets:
        name, place = one.split("=", 1)
        for method in METHODS:
            if method == "SyncNet" and not options.syncnet:
                continue
            context = multiprocessing.get_context("spawn")
            answer = context.SimpleQueue()
            process = context.Process(target=measure, args=(method, Trials(place, options), options, answer))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{method} on {name}: failed, see above")
            rows.append({"set": name, "method": method} | answer.get())
            say(rows[-1], len(rows) == 1)
    times = end_to_end(options) if options.video else {}
    for name, seconds in times.items():
        print(f"{name:<26}{seconds:8.2f} s from file to answer{seconds / times['slts, shipped']:8.1f} x ours")
    if options.record:
        options.record.write_text(json.dumps({"rows": rows, "seconds_from_file_to_answer": times}, indent=1) + "\n")


def say(row: dict, first: bool) -> None:
    if first:
        titles = "MAE ms", "<=20 ms", "<=40 ms", "1 % gross", "wrong there", "5 % wrong", "ms/trial", "MB"
        print(f"{'':<12}{'':<20}" + "".join(f"{title:>12}" for title in titles))
    shares = "".join(f"{row[name]:>12.1%}" for name in SHARES)
    print(
        f"{row['set']:<12}{row['method']:<20}{row['mae_ms']:>12.1f}{shares}{row['ms_a_trial']:>12.1f}"
        f"{row['memory_mb']:>12.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
