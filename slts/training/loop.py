"""The training loop: one task, one optimiser, any number of processes."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object, set_seed
from omegaconf import DictConfig

from slts.errors import UserError
from slts.training.checkpoint import (
    TrainingState,
    load_optimizer,
    load_state,
    load_weights,
    restore_rng,
    rng_state,
    save_checkpoint,
)
from slts.training.optimizer import build_optimizer
from slts.training.progress import Progress
from slts.training.run_directory import RunDirectory
from slts.training.schedule import learning_rate
from slts.training.tracking import Tracking

MOST_SKIPPED = 10
"""Steps in a row that may be skipped for a non-finite gradient before the run stops."""


@dataclass
class Validation:
    """What a validation leaves: ``score`` is compared with the best so far (higher is better)."""

    score: float | None
    scalars: dict[str, float]
    sounds: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    histograms: dict[str, list] = field(default_factory=dict)
    warning: str | None = None


class Trainer:
    """Trains ``task`` until ``config.steps``, from the run's last checkpoint if there is one.

    Args:
        config: of ``slts train``.
        accelerator: the processes.
        run: the run's folder, opened.
        task: ``losses, report = task(batch)``.
        batches: position in the sample stream -> endless iterator of this rank's batches.
        validate: (unwrapped task, step) -> Validation, called on every rank; complete on the main process.
    """

    def __init__(
        self,
        config: DictConfig,
        accelerator: Accelerator,
        run: RunDirectory,
        task: torch.nn.Module,
        batches: Callable,
        validate: Callable[[torch.nn.Module, int], Validation],
    ):
        self.config, self.accelerator, self.run, self.validate = config, accelerator, run, validate
        self.state = TrainingState()
        last = run.path / "last"
        if last.exists():
            self.state = load_state(last)
            load_weights(last, task)
        self.module = task
        self.task, self.optimizer = accelerator.prepare(task, build_optimizer(task, config.optim))
        # Every rank draws its own dropout and segments; initialisation happened under the common seed.
        set_seed(config.seed, device_specific=True)
        if last.exists():
            load_optimizer(last, self.optimizer.optimizer)
            restore_rng(last, accelerator.process_index)
        self.batches = batches(self.state.samples)

    @property
    def finished(self) -> bool:
        return self.state.step >= self.config.steps

    def fit(self) -> None:
        """Train, validate and save until ``steps``. Raises UserError when the gradients stay non-finite."""
        tracking = None
        if self.accelerator.is_main_process:
            tracking = Tracking(self.config, self.run, self.state.step, self.state.tracking_id)
            self.state.tracking_id = tracking.id
        batches, skipped, window = iter(self.batches), 0, _Window()
        with Progress(self.config.steps, self.state.step, self.accelerator.is_main_process) as progress:
            while not self.finished:
                with window.waiting():
                    batch = next(batches).to(self.accelerator.device)
                values, finite = self.step(batch)
                skipped = 0 if finite else skipped + 1
                if skipped >= MOST_SKIPPED:
                    raise UserError(
                        f"{skipped} steps in a row gave no finite gradient, at step {self.state.step}; the last batch "
                        f"held {', '.join(batch.key[:8])}; lower optim.learning_rate or look at these clips"
                    )
                window.add(values)
                progress.advance()
                if self.state.step % self.config.log_every == 0 or self.finished:
                    progress.show(self._log(window, tracking))
                    window = _Window()
                if self.state.step % self.config.validate_every == 0 or self.finished:
                    progress.note(self._validate_and_save(tracking))
                    window = _Window()
        if tracking:
            tracking.close()

    def step(self, batch) -> tuple[dict[str, torch.Tensor], bool]:
        """One optimiser step on this rank's part of a batch: detached losses and report, and whether it was taken.

        The gradient norm is computed after the ranks' gradients were averaged, so all ranks decide alike.
        """
        state, optim = self.state, self.config.optim
        rate = learning_rate(state.step, self.config.steps, optim.learning_rate, optim.warmup_steps)
        groups = self.optimizer.param_groups  # the task's, and its critic's where it has one
        groups[0]["lr"] = rate
        self.task.train()
        with self.accelerator.autocast():
            losses, report = self.task(batch)
        total = sum(losses.values())
        self.optimizer.zero_grad()
        self.accelerator.backward(total)
        norms = [self.accelerator.clip_grad_norm_(group["params"], optim.clip_norm) for group in groups]
        norm = torch.stack(norms).norm()
        finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
        state.step += 1
        state.samples += self.config.batch_size
        values = {f"loss/{name}": value.detach() for name, value in losses.items()}
        values |= {"loss/total": total.detach(), "gradient_norm": norm.detach() if finite else torch.zeros_like(norm)}
        values |= {f"train/{name}": value.detach() for name, value in report.items()}
        values["train/skipped"] = torch.tensor(float(not finite), device=norm.device)
        return values | {"train/learning_rate": torch.tensor(rate, device=norm.device)}, finite

    def _log(self, window: "_Window", tracking: Tracking | None) -> dict[str, float]:
        seconds = time.perf_counter() - window.since
        means = torch.stack([total.float() for total in window.sums.values()]) / window.steps
        values = dict(zip(window.sums, self.accelerator.reduce(means, "mean").tolist(), strict=True))
        values["train/clips_per_second"] = window.steps * self.config.batch_size / seconds
        values["train/data_wait_share"] = window.waited / seconds
        if torch.cuda.is_available():
            values["train/gpu_gb"] = torch.cuda.max_memory_allocated() / 1e9
        if tracking:
            tracking.scalars(self.state.step, values)
        return values

    def _validate_and_save(self, tracking: Tracking | None) -> str:
        """Validate on every rank, keep the best score, leave a checkpoint. Returns a line for people."""
        task, state = self.module, self.state
        # Each rank has its own running statistics of batch norm; those of rank 0 are saved, so all validate with them.
        for buffer in task.buffers():
            if self.accelerator.num_processes > 1:
                torch.distributed.broadcast(buffer, 0)
        task.eval()
        training_rng = torch.get_rng_state()
        result = self.validate(task, state.step)
        torch.set_rng_state(training_rng)
        score = broadcast_object_list([result.score])[0]
        if score is not None and (state.best_score is None or score > state.best_score):
            state.best_score, state.best_step = score, state.step
        elif state.best_step is None:
            state.best_step = state.step
        if tracking:
            tracking.scalars(state.step, {f"val/{name}": value for name, value in result.scalars.items()})
            tracking.media(state.step, result.sounds, result.pictures, result.histograms)
        generators = gather_object([rng_state()])
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.run.checkpoints,
                state,
                task.state_dict(),
                self.optimizer.optimizer.state_dict(),
                generators,
                self.config.keep_checkpoints,
            )
        self.accelerator.wait_for_everyone()
        shown = "  ".join(f"{name} {value:.3f}" for name, value in result.scalars.items())
        best = "  (best)" if state.best_step == state.step else ""
        return f"step {state.step}: {shown}{best}" + (f"\nwarning: {result.warning}" if result.warning else "")


class _Window:
    """Sums over the steps since the last line of the log."""

    def __init__(self):
        self.sums: dict[str, torch.Tensor] = {}
        self.steps, self.waited, self.since = 0, 0.0, time.perf_counter()

    @contextmanager
    def waiting(self):
        asked = time.perf_counter()
        yield
        self.waited += time.perf_counter() - asked

    def add(self, values: dict[str, torch.Tensor]) -> None:
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
