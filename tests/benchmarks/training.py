"""Cost of a training step and of what surrounds it: ASM, compilation, validation, waiting for data.

    python tests/benchmarks/training.py [--steps N] [data=DIR] [key=value ...]

Keys are those of slts train. Without any, a GPU takes the paper's size (model=s vocoder=univnet_c32 batch_size=32) and
a CPU experiment=cpu. Steps are timed on one random batch in GPU memory, variants in turn; on a CPU in CPU time of one
thread, which other load does not change much. compile=true adds the compiled step. With data=DIR slts train itself then
runs N steps and one validation. Medians are printed, nothing is judged.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2]))
from slts.config import compose
from slts.data.batch import Batch
from slts.memory import keep_freed_memory
from slts.systems import build_task, check_task
from slts.training.optimizer import build_optimizer
from slts.training.processes import uses_bf16

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
CORPUS = {
    "name": "random",
    "speakers": ["a", "b", "c", "d"],
    "fps": [25.0],
    "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80},
}
DEFAULTS = ["model=s", "vocoder=univnet_c32", "batch_size=32"] if CUDA else ["experiment=cpu"]
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Dense bf16 operations a second with 32-bit sums, from the vendor's data sheets (SXM where there are several)."""


def configure(overrides: list[str]):
    config, _ = compose("train", [*DEFAULTS, "data=x", "name=benchmark", "tracking=none", *overrides])
    check_task(config)
    return config


def random_batch(config) -> Batch:
    """A full batch of full chunks at 25 fps."""
    clips, frames, size = config.batch_size, int(config.chunk_seconds * 25), config.model.image_size
    return Batch(
        video=torch.randint(0, 255, (clips, frames, config.model.channels, size, size), dtype=torch.uint8),
        recorded=torch.randn(clips, frames * 640) * 0.1,
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), 25.0),
        speaker=torch.arange(clips) % len(CORPUS["speakers"]),
        offset_ms=torch.full((clips,), float("nan")),
        key=["random"] * clips,
    ).to(DEVICE)


class Step:
    """A task and its optimiser; calling it takes one step, as the trainer does, and returns its seconds."""

    def __init__(self, config, compiled: bool = False):
        torch.manual_seed(0)
        self.task = build_task(config, CORPUS).to(DEVICE).train()
        self.optimizer = build_optimizer(self.task, config.optim)
        self.autocast = torch.autocast(DEVICE.type, torch.bfloat16, enabled=uses_bf16(config.precision))
        self.clip_norm = config.optim.clip_norm
        if compiled:
            for network in self.task.children():
                network.compile()

    def run(self, batch: Batch) -> None:
        with self.autocast:
            losses, _ = self.task(batch)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        for group in self.optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], self.clip_norm)
        self.optimizer.step()

    def __call__(self, batch: Batch) -> float:
        if not CUDA:
            start = time.process_time()
            self.run(batch)
            return time.process_time() - start
        torch.cuda.synchronize()
        start = time.perf_counter()
        self.run(batch)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    def operations(self, batch: Batch) -> float:
        """Floating-point operations of convolutions and matrix products in a step, both passes."""
        with FlopCounterMode(display=False) as counter:
            self.run(batch)
        return counter.get_total_flops()


def compare_steps(config, overrides: list[str], count: int) -> None:
    steps = {"with ASM": Step(config)}
    if config.variant != "no_asm":
        others = [o for o in overrides if not o.startswith("variant=")]
        steps["without ASM"] = Step(configure([*others, "variant=no_asm"]))
    if config.compile:
        steps["with ASM, compiled"] = Step(config, compiled=True)
    batch = random_batch(config)
    operations = {name: step.operations(batch) for name, step in steps.items() if "compiled" not in name}
    for _ in range(3):
        for step in steps.values():
            step(batch)
    times = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            times[name].append(step(batch))
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    print(f"{'step':<20}{'ms':>10}{'clips/s':>10}{'GFLOP':>10}{'TFLOP/s':>10}{'ratio':>8}")
    for name, seconds in medians.items():
        work = operations.get(name, operations["with ASM"])
        print(
            f"{name:<20}{1e3 * seconds:>10.1f}{config.batch_size / seconds:>10.1f}{work / 1e9:>10.0f}"
            f"{work / seconds / 1e12:>10.3f}{medians['with ASM'] / seconds:>8.2f}"
        )
    if "without ASM" in medians:
        by_time = 1 - medians["without ASM"] / medians["with ASM"]
        by_work = 1 - operations["without ASM"] / operations["with ASM"]
        print(f"share of ASM in a step: {by_time:.1%} of the time, {by_work:.1%} of the operations")
    if CUDA:
        name = torch.cuda.get_device_name()
        peak = next((peak for key, peak in PEAKS.items() if key in name), None)
        best = max(operations["with ASM"] / medians[k] for k in medians if k.startswith("with ASM"))
        print(f"{name}: {best / peak:.1%} of its peak in bf16" if peak else f"{name}: peak not known")
        print(f"largest memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


def real_training(config, data: str, count: int) -> None:
    """slts train itself: what the log says, and what a validation costs at the config's interval."""
    from slts import train
    from slts.evaluation import validation

    spent, measured = [], validation.validate

    def timed(*arguments):
        start = time.perf_counter()
        result = measured(*arguments)
        spent.append(time.perf_counter() - start)
        return result

    validation.validate = timed
    every, config.data = config.validate_every, data
    window = max(1, count // 4)
    config.steps, config.validate_every, config.log_every = 4 * window, 4 * window, window
    with tempfile.TemporaryDirectory() as runs:
        config.runs = runs
        train.main(config)
        rows = [json.loads(line) for line in (Path(runs) / config.name / "metrics.jsonl").read_text().splitlines()]
    later = {
        name: float(
            np.median([row["value"] for row in rows if row["name"] == f"train/{name}" and row["step"] > window])
        )
        for name in ("clips_per_second", "data_wait_share")
    }
    step = config.batch_size / later["clips_per_second"]
    print(f"slts train: {later['clips_per_second']:.1f} clips/s of wall time on this machine as it is loaded now")
    print(f"waiting for data: {later['data_wait_share']:.2%} of the time with workers={config.workers}")
    share = spent[0] / (spent[0] + every * step)
    print(f"validation of {config.validate_clips} clips: {spent[0]:.1f} s, {share:.1%} at validate_every={every}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args()
    data = next((o.removeprefix("data=") for o in options.overrides if o.startswith("data=")), None)
    overrides = [o for o in options.overrides if not o.startswith("data=")]
    torch.set_num_threads(1)
    if not CUDA:
        keep_freed_memory()
    config = configure(overrides)
    precision = "bf16" if uses_bf16(config.precision) else "fp32"
    print(
        f"model={config.model.name} vocoder={config.vocoder.name} variant={config.variant} batch_size="
        f"{config.batch_size}, chunks of {config.chunk_seconds} s, {precision} on {DEVICE}, {options.steps} steps each"
    )
    compare_steps(config, overrides, options.steps)
    if data:
        real_training(config, data, options.steps)


if __name__ == "__main__":
    main()
