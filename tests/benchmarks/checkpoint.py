"""Seconds that a checkpoint of the paper's size S takes, medians of five: ``python tests/benchmarks/checkpoint.py``."""

import statistics
import tempfile
import time
from pathlib import Path

import torch

from slts.training.checkpoint import save_checkpoint
from slts.training.rng import rng_state
from slts.training.state import TrainingState

PARAMETERS, TENSORS = 25_000_000, 500


def main() -> None:
    one = torch.randn(PARAMETERS // TENSORS)
    model = {str(i): one.clone() for i in range(TENSORS)}
    optimizer = {f"{i}.{key}": one.clone() for i in range(TENSORS) for key in ("exp_avg", "exp_avg_sq")}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "checkpoints"
        checkpoints.mkdir()
        for step in range(1, 6):
            began = time.perf_counter()
            save_checkpoint(checkpoints, TrainingState(step), model, optimizer, [rng_state()] * 8, keep=2)
            seconds.append(time.perf_counter() - began)
    print(
        f"checkpoint of {PARAMETERS / 1e6:.0f} M parameters with AdamW's state, fsync included: "
        f"{statistics.median(seconds):.2f} s"
    )


if __name__ == "__main__":
    main()
