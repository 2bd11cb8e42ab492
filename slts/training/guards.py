"""What keeps a training from ending badly: signals, a full disk, a watchdog, and clips that gave no finite gradient."""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from slts.errors import UserError, disk_fault

STOPPED = 75
"""Exit status of a training that a signal stopped: saved, and continued by the same command (EX_TEMPFAIL)."""
STDERR = 2


class Interruption:
    """Context in which SIGTERM and SIGUSR1 are only noted; ``signal`` is the name of the one that came, or None."""

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self):
        self.signal: str | None = None

    def __enter__(self) -> "Interruption":
        self.before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame) -> None:
        # Loader processes inherit this too: signalled with their parent they go on, so that it can finish its step.
        self.signal = signal.Signals(number).name


class DiskGuard:
    """Context for what a run writes besides checkpoints. A full or closed disk is noted and raises nothing: training
    ends for it as for a signal, after saving.
    """

    def __init__(self, folder: Path):
        self.folder, self.fault = folder, None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, error: BaseException | None, _traceback) -> bool:
        fault = disk_fault(error, [self.folder]) if isinstance(error, OSError) else None
        self.fault = self.fault or fault
        return fault is not None

    def refuse(self, step: int) -> None:
        """Raises the first fault as a UserError; ``step`` was saved after it."""
        if self.fault:
            raise UserError(f"{self.fault}; step {step} is saved")


class Watchdog:
    """Dumps the stacks of all threads to stderr and ends the process with status 1 if it is not fed in time."""

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes

    def __enter__(self) -> "Watchdog":
        self.feed()
        return self

    def __exit__(self, *_) -> None:
        faulthandler.cancel_dump_traceback_later()

    def feed(self) -> None:
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=STDERR)


def nan_unless_finite(loss: Tensor) -> Tensor:
    """The loss; where it is not finite, one whose gradient is NaN everywhere, so that no rank can overlook it."""
    return loss * torch.where(torch.isfinite(loss.detach()), 1.0, torch.nan)


@contextmanager
def buffers_aside(task: nn.Module) -> Iterator[None]:
    """Whatever is computed inside leaves the running statistics as they were."""
    kept = RunningStatistics(task)
    kept.remember()
    try:
        yield
    finally:
        kept.restore()


class RunningStatistics:
    """A copy of a task's buffers, to undo what a batch that is skipped did to them."""

    def __init__(self, task: nn.Module):
        self.task, self.copy = task, []

    def remember(self) -> None:
        buffers = list(self.task.buffers())
        if not self.copy:
            self.copy = [torch.empty_like(buffer) for buffer in buffers]
        if buffers:
            torch._foreach_copy_(self.copy, buffers)

    def restore(self) -> None:
        buffers = list(self.task.buffers())
        if buffers:
            torch._foreach_copy_(buffers, self.copy)


def clips_without_finite_gradient(task: nn.Module, batch) -> list[str]:
    """Keys of the clips of this rank's batch that alone give no finite loss or gradient.

    ``batch`` is a dataclass of tensors and lists with one entry a clip, ``key`` among them. Computes every clip once
    more; the task keeps its gradients and running statistics.
    """
    parameters = [p for p in task.parameters() if p.requires_grad]
    found = []
    with buffers_aside(task):
        for index, key in enumerate(batch.key):
            losses, _ = task(batch.clip(index))
            total = sum(losses.values())
            gradients = torch.autograd.grad(total, parameters, allow_unused=True)
            values = [total.detach(), *(g for g in gradients if g is not None)]
            if not all(bool(torch.isfinite(value).all()) for value in values):
                found.append(key)
    return found
