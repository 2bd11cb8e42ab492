"""What ``profile=true`` measures of a training: operations of a step, use of the device, memory, and a trace of steps.

Leaves ``RUN/profile/``: ``summary.json``, and for each rank ``steps-AAA-BBB-rank-R.json.gz`` to be opened in
ui.perfetto.dev, and ``.txt`` with its longest operations. What is learned is the same with and without.
"""

import json
import os
import re
import resource
import sys
from collections.abc import Callable

import torch
from accelerate import Accelerator
from omegaconf import DictConfig
from torch import nn
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from slts.files import whole_file, write_whole
from slts.training.dry_run import forecast
from slts.training.guards import DiskGuard, buffers_aside
from slts.training.processes import uses_bf16
from slts.training.rng import rng_aside
from slts.training.run_directory import RunDirectory

PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12,
    "L4": 121e12, "A10G": 70e12, "A10": 125e12, "RTX 4090": 165e12, "RTX 3090": 71e12,
}  # fmt: skip
"""Dense bf16 operations a second by NVIDIA's data sheets; the first key that a device's name holds counts."""
LONGEST = 30
"""Operations in the text beside a trace."""


class Profile:
    """Wraps the steps of a training; does nothing where ``profile=false``.

    Args:
        config: of ``slts train``.
        run: where ``profile/`` is to be.
        accelerator: the processes.
        task: unwrapped, on its device.
        disk: what a full disk is noted by.
        say: takes one line for the user, on the main process.
    """

    def __init__(
        self,
        config: DictConfig,
        run: RunDirectory,
        accelerator: Accelerator,
        task: nn.Module,
        disk: DiskGuard,
        say: Callable[[str], None],
    ):
        self.config, self.accelerator, self.task, self.disk, self.say = config, accelerator, task, disk, say
        self.folder = run.path / "profile"
        self.taken = 0
        self.first, self.last = config.profile_from, config.profile_from + config.profile_steps - 1
        self.trace: torch.profiler.profile | None = None
        self.operations: int | None = None
        self.peak = _peak(accelerator.device) if uses_bf16(config.precision) else None
        self.forecast: dict[str, float] = {}

    def step(self, step: Callable, batch):
        """What ``step(batch)`` returns."""
        if not self.config.profile:
            return step(batch)
        self.taken += 1
        if self.taken == 1:
            self._count(batch)
        if self.taken == self.first:
            self._begin()
        result = step(batch)
        if self.taken == self.last:
            self.end()
        return result

    def efficiency(self, steps: int, seconds: float) -> dict[str, float]:
        """Of ``steps`` that took ``seconds`` with the wait for data: tera-operations a second of this device, and their
        share of what it can do at most (MFU), where that is known."""
        if self.operations is None or not seconds:
            return {}
        speed = steps * self.operations / seconds
        values = {"train/teraflops_per_second": speed / 1e12}
        return values | ({"train/mfu": speed / self.peak} if self.peak else {})

    def end(self) -> None:
        """Leaves the trace, if one was begun, and the summary."""
        if not self.trace:
            return
        trace, self.trace = self.trace, None
        trace.stop()
        with self.disk:
            self._leave(trace)

    def _leave(self, trace: torch.profiler.profile) -> None:
        last = min(self.taken, self.last)
        name = f"steps-{self.first:03d}-{last:03d}-rank-{self.accelerator.process_index}"
        with whole_file(self.folder / f"{name}.json.gz") as file:
            trace.export_chrome_trace(file.name)
        order = f"self_{self.accelerator.device.type}_time_total"
        table = trace.key_averages().table(sort_by=order, row_limit=LONGEST)
        write_whole(self.folder / f"{name}.txt", table.encode())
        if self.accelerator.is_main_process:
            self._summarise(name)

    def _count(self, batch) -> None:
        """The memory forecast by dry_run, and the operations of forward and backward pass: both passes of their own,
        as the counter takes some operations apart, which rounds otherwise."""
        with rng_aside(), buffers_aside(self.task):
            self.forecast = forecast(self.config, self.task, batch, len(batch.key), self.accelerator)
            if not self.config.compile:  # compiled networks hide what they do from the counter
                with FlopCounterMode(display=False) as counter:
                    losses, _ = self.task(batch)
                    parameters = [p for p in self.task.parameters() if p.requires_grad]
                    torch.autograd.grad(sum(value.float() for value in losses.values()), parameters, allow_unused=True)
                self.operations = counter.get_total_flops()
        if self.accelerator.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.accelerator.device)

    def _begin(self) -> None:
        kinds = [ProfilerActivity.CPU]
        kinds += [ProfilerActivity.CUDA] if self.accelerator.device.type == "cuda" else []
        self.trace = torch.profiler.profile(activities=kinds, profile_memory=True)
        self.trace.start()

    def _summarise(self, name: str) -> None:
        device = self.accelerator.device
        used = _used_bytes(device)
        summary = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {os.cpu_count()} cores",
            "flop_a_step": self.operations,
            "peak_flop_a_second": self.peak,
            "memory_forecast_bytes": self.forecast,
            "memory_used_bytes": used,
            "traced": [self.first, min(self.taken, self.last)],
        }
        write_whole(self.folder / "summary.json", json.dumps(summary, indent=1).encode())
        counted = "operations not counted" if self.operations is None else f"{self.operations / 1e9:.4g} GFLOP a step"
        of = "of the GPU" if device.type == "cuda" else "by the whole process, libraries included"
        self.say(
            f"profile: {counted} and process; memory {sum(self.forecast.values()) / 1e9:.3f} GB forecast,"
            f" {used / 1e9:.3f} GB used {of}; trace in {self.folder / name}.json.gz"
        )


def _peak(device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name)), None)


def _used_bytes(device: torch.device) -> int:
    """The most that was held at once: of the device by torch, or by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
