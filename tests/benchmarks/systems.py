"""SLTS beside VCA-GAN: clips a second in training, and seconds of speech a second when generating.

    python tests/benchmarks/systems.py [--steps N] [--clips N] [--full]

The sizes for a CPU, or with --full (and on a GPU) the papers' own. Both take random clips of 1.6 s, in turn. Timed as
in training.py; medians are printed, nothing is judged.
"""

import argparse
import time

import numpy as np
import torch
from training import CUDA, DEVICE, Step, configure, random_batch

from slts.memory import keep_freed_memory

SMALL = {"slts": ["experiment=cpu"], "vcagan": ["experiment=vcagan_cpu"]}
FULL = {"slts": ["model=s", "vocoder=univnet_c16"], "vcagan": ["experiment=vcagan"]}


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
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not CUDA:
        keep_freed_memory()
    shared = ["chunk_seconds=1.6", f"batch_size={options.clips}"]
    systems = {}
    for name, overrides in (FULL if options.full else SMALL).items():
        config = configure([*overrides, *shared])
        systems[name] = Step(config), random_batch(config)
    training, generating = ({name: [] for name in systems} for _ in range(2))
    for round_ in range(options.steps + 2):
        for name, (step, batch) in systems.items():
            step.task.train()
            taken = step(batch)
            step.task.eval()
            start = clock()
            step.task.generate(batch)
            if round_ > 1:
                training[name].append(taken)
                generating[name].append(clock() - start)
    print(
        f"{DEVICE}, {options.clips} clips of 1.6 s, {'papers' if options.full else 'cpu'} sizes, {options.steps} rounds"
    )
    print(f"{'':<8}{'M params':>10}{'step ms':>10}{'clips/s':>10}{'generated s/s':>15}")
    for name, (step, _) in systems.items():
        taken, spoken = (float(np.median(times[name])) for times in (training, generating))
        size = sum(p.numel() for p in step.task.parameters()) / 1e6
        rates = options.clips / taken, 1.6 * options.clips / spoken
        print(f"{name:<8}{size:>10.2f}{1e3 * taken:>10.0f}{rates[0]:>10.2f}{rates[1]:>15.1f}")
    for what, times in (("training", training), ("generating", generating)):
        print(f"{what}: SLTS / VCA-GAN {np.median(times['vcagan']) / np.median(times['slts']):.2f}")


if __name__ == "__main__":
    main()
