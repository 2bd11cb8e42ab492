"""Known shifts of held-out clips against what systems find: shares, means, and the cost of a clip.

    python tests/benchmarks/injected_shifts.py DATA RUN [RUN ...] [--weights FILE] [--split val] [--shifts -3 -1 0 1 3]

Each clip of the split is shifted by whole video frames, nothing padded; an unknown offset of the data counts as 0. The
systems take turns batch by batch, so that a busy machine slows all of them.
"""

import argparse
import time
from collections import defaultdict

import numpy as np
import torch

from slts.data.loader import evaluation_loader
from slts.evaluation.judges.offsets import shift
from slts.systems.syncnet.published import load_syncnet
from slts.systems.trained import load_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--weights")
    parser.add_argument("--split", default="val")
    parser.add_argument("--shifts", type=int, nargs="+", default=[-3, -1, 0, 1, 3])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    systems = {path: load_run(path) for path in arguments.runs}
    if arguments.weights:
        systems[arguments.weights] = load_syncnet(arguments.weights)
    loaders = [
        evaluation_loader(run.dataset(arguments.data, arguments.split, any_speaker=True), 8) for run in systems.values()
    ]
    truths, found, seconds = defaultdict(list), defaultdict(list), defaultdict(list)
    frame_ms = 40.0
    for batches in zip(*loaders, strict=True):
        for late in arguments.shifts:
            for (name, run), batch in zip(systems.items(), batches, strict=True):
                shifted = shift(batch, [late] * len(batch.key), max(map(abs, arguments.shifts)))
                frame_ms = float(1000 / batch.fps[0])
                began = time.perf_counter()
                estimate = run.task.offsets(shifted.to(run.device))
                seconds[name].append((time.perf_counter() - began) / len(batch.key))
                truths[name, late] += shifted.offset_ms.tolist()
                found[name, late] += estimate.ms.tolist()
    print("| system | shift (frames) | clips | truth, mean ms | found, mean ms | sd of error ms | within a frame |")
    print("|---|---|---|---|---|---|---|")
    for name in systems:
        for late in arguments.shifts:
            truth, ms = np.array(truths[name, late]), np.array(found[name, late])
            error = ms - truth
            print(
                f"| {name} | {late:+d} | {len(ms)} | {truth.mean():+.0f} | {ms.mean():+.1f} | {error.std():.1f} | "
                f"{(np.abs(error) <= frame_ms + 1e-3).mean():.1%} |"
            )
    for name in systems:
        print(f"{name}: {1000 * np.median(seconds[name]):.1f} ms a clip, median of {len(seconds[name])} batches")


if __name__ == "__main__":
    main()
