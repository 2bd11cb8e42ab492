"""Speaking systems beside SLTS: clips a second in training, and seconds of speech a second when generating.

    python tests/benchmarks/systems.py [--steps N] [--clips N] [--full] [SYSTEM ...]

The sizes for a CPU, or with --full (and on a GPU) the papers' own. All take random clips of 1.6 s, in turn. AV2A hears
speech that is there; "alone" is of silent video, which its base speaks first. Timed as in training.py; medians are
printed, nothing is judged.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from training import CUDA, DEVICE, Step, configure, random_batch

from slts.memory import keep_freed_memory

SMALL = {
    "slts": ["experiment=cpu"],
    "vcagan": ["experiment=vcagan_cpu"],
    "svts": ["experiment=svts_cpu"],
    "v2a_wavegan": ["experiment=wavegan_cpu"],
    "av2a": ["experiment=av2a_cpu", "task.base=b"],
    "av2a_wavegan": ["experiment=av2a_wavegan_cpu", "task.base=b"],
}
FULL = {
    "slts": ["model=s", "vocoder=univnet_c16"],
    "vcagan": ["experiment=vcagan"],
    "svts": ["experiment=svts"],
    "v2a_wavegan": ["experiment=wavegan"],
    "av2a": ["task=av2a", "model=s", "vocoder=univnet_c16", "task.base=b"],
    "av2a_wavegan": ["task=av2a_wavegan", "task.base=b"],
}


def clock() -> float:
    if not CUDA:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--clips", type=int, default=24 if CUDA else 8)
    parser.add_argument("--full", action="store_true", default=CUDA)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="of all, besides slts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not CUDA:
        keep_freed_memory()
    shared = ["chunk_seconds=1.6", f"batch_size={options.clips}"]
    systems = {}
    for name, overrides in (FULL if options.full else SMALL).items():
        if options.systems and name not in ("slts", *options.systems):
            continue
        config = configure([*overrides, *shared])
        step, batch = Step(config), random_batch(config)
        batch.sounds = {sound: batch.audio for sound in step.task.takes}
        systems[name] = step, batch
    training, generating, alone = ({name: [] for name in systems} for _ in range(3))
    for round_ in range(options.steps + 2):
        for name, (step, batch) in systems.items():
            step.task.train()
            taken = step(batch)
            step.task.eval()
            start = clock()
            step.task.generate(batch)
            heard = clock()
            step.task.generate(replace(batch, sounds={}))
            if round_ > 1:
                training[name].append(taken)
                generating[name].append(heard - start)
                alone[name].append(clock() - heard)
    print(
        f"{DEVICE}, {options.clips} clips of 1.6 s, {'papers' if options.full else 'cpu'} sizes, {options.steps} rounds"
    )
    print(f"{'':<13}{'M params':>10}{'step ms':>10}{'clips/s':>10}{'generated s/s':>15}{'alone':>8}{'step / SLTS':>13}")
    for name, (step, _) in systems.items():
        taken, spoken, silent = (float(np.median(times[name])) for times in (training, generating, alone))
        size = sum(p.numel() for p in step.task.parameters() if p.requires_grad) / 1e6
        seconds = 1.6 * options.clips
        print(
            f"{name:<13}{size:>10.2f}{1e3 * taken:>10.0f}{options.clips / taken:>10.2f}{seconds / spoken:>15.1f}"
            f"{seconds / silent:>8.1f}{taken / np.median(training['slts']):>13.2f}"
        )


if __name__ == "__main__":
    main()
