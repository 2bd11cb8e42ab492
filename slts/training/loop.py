"""The training loop: one task, one optimiser, any number of processes."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object, set_seed
from omegaconf import DictConfig

from slts.errors import UserError
from slts.training.checkpoint import (
    last_checkpoint,
    link_best,
    load_optimizer,
    load_weights,
    save_checkpoint,
)
from slts.training.guards import (
    DiskGuard,
    Interruption,
    RunningStatistics,
    Watchdog,
    clips_without_finite_gradient,
    nan_unless_finite,
)
from slts.training.processes import on_main_process, optimise, uses_bf16
from slts.training.profiling import Profile
from slts.training.progress import Progress
from slts.training.rng import restore_rng, rng_aside, rng_state
from slts.training.run_directory import RunDirectory
from slts.training.schedule import learning_rate
from slts.training.state import TrainingState, load_state
from slts.training.tracking import Media, Tracking


@dataclass
class Validation:
    """What a validation leaves: ``score`` is compared with the best so far (higher is better).

    ``show(folder)`` writes the sounds and pictures; it is called on the main process once the checkpoint is there.
    """

    score: float | None
    scalars: dict[str, float]
    show: Callable[[Path], Media] | None = None
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
        last = last_checkpoint(run.path)
        if last:
            self.state = load_state(last)
            load_weights(last, task)
        self.module = task
        if config.compile:
            for network in task.children():
                network.compile()
        if uses_bf16(config.precision):
            task.forward = torch.autocast(accelerator.device.type, torch.bfloat16)(task.forward)
        self.optimisation = optimise(accelerator, task, config.optim, config.batch_size)
        self.task = self.optimisation.model
        # Every rank draws its own dropout and segments; initialisation happened under the common seed.
        set_seed(config.seed, device_specific=True)
        if last:
            self.optimisation.load(load_optimizer(last, self.optimisation.parameters))
            restore_rng(last, accelerator.process_index)
            if accelerator.is_main_process:
                link_best(run.path, self.state)
        self.statistics = RunningStatistics(task)
        self.disk = DiskGuard(run.path)
        self.batches = batches(self.state.samples)

    @property
    def finished(self) -> bool:
        return self.state.step >= self.config.steps

    def fit(self) -> str | None:
        """Train, validate and save until ``steps``.

        Returns the name of the signal that stopped it before, after saving; None when it is finished.

        Raises:
            UserError: ``most_skipped`` steps in a row gave no finite gradient, or a checkpoint cannot be written; or
                what else is written cannot, then the step is saved first.
        """
        tracking = self._start_tracking()
        batches, window, offenders = iter(self.batches), _Window(), []
        progress = Progress(self.config.steps, self.state.step, self.accelerator.is_main_process)
        profile = Profile(self.config, self.run, self.accelerator, self.module, self.disk, progress.note)
        with progress, Interruption() as interruption, Watchdog(self.config.watchdog_minutes) as watchdog:
            while not self.finished:
                watchdog.feed()
                with window.waiting():
                    batch = next(batches).to(self.accelerator.device)
                values, finite = profile.step(self.step, batch)
                window.add(values, finite)
                progress.advance()
                offenders = [] if finite else [*offenders, self._blame(batch, tracking, progress)]
                if len(offenders) >= self.config.most_skipped:
                    self._give_up(offenders)
                if self.state.step % self.config.log_every == 0 or self.finished:
                    progress.show(self._log(window, tracking, profile))
                    window = _Window()
                if self.state.step % self.config.validate_every == 0 or self.finished:
                    watchdog.feed()
                    result = self._validate(tracking, progress)
                    watchdog.feed()
                    self._save()
                    self._show(result, tracking)
                    window = _Window()
                if not self.finished and self._anyone(interruption.signal is not None or self.disk.fault is not None):
                    self._save()
                    break
            profile.end()
        if tracking:
            with self.disk:
                tracking.close()
        on_main_process(self.accelerator, lambda: self.disk.refuse(self.state.step))
        return None if self.finished else interruption.signal or "a signal to another process"

    def step(self, batch) -> tuple[dict[str, torch.Tensor], bool]:
        """One optimiser step on this rank's part of a batch: detached losses and report, and whether it was taken.

        A loss or gradient that is not finite on any rank makes the norm of all ranks' gradient so: all decide alike,
        and the task stays as it was, running statistics included.
        """
        state, optim = self.state, self.config.optim
        shape = (optim.warmup_steps, optim.schedule, optim.drops)
        rate = learning_rate(state.step, self.config.steps, optim.learning_rate, *shape)
        self.optimisation.groups[0]["lr"] = rate
        if optim.critic.follows:
            for critic in self.optimisation.groups[1:]:  # there is one where the task has a critic
                critic["lr"] = learning_rate(state.step, self.config.steps, optim.critic.learning_rate, *shape)
        self.task.train()
        self.statistics.remember()
        losses, report = self.task(batch)
        total = sum(value.float() for value in losses.values())
        norm = self.optimisation.step(nan_unless_finite(total), optim.clip_norm)
        finite = bool(torch.isfinite(norm))
        if not finite:
            self.statistics.restore()
        state.step += 1
        state.samples += self.config.batch_size
        values = {f"loss/{name}": value.detach() for name, value in losses.items()}
        values |= {"loss/total": total.detach(), "gradient_norm": norm.detach()}
        values |= {f"train/{name}": value.detach() for name, value in report.items()}
        return values | {"train/learning_rate": torch.tensor(rate, device=norm.device)}, finite

    def _blame(self, batch, tracking: Tracking | None, progress: Progress) -> str:
        """Names in log and terminal the clips for which a step was skipped. Returns their keys."""
        with rng_aside():
            found = gather_object(clips_without_finite_gradient(self.module, batch))
        everyone = gather_object(list(batch.key))
        keys = ", ".join(sorted(found)) or f"none by itself, of {', '.join(everyone)}"
        if tracking:
            with self.disk:
                tracking.log_file.write(self.state.step, {"train/skipped_clips": keys})
        progress.note(f"step {self.state.step} skipped: no finite gradient; clips: {keys}")
        return keys

    def _give_up(self, offenders: list[str]) -> None:
        def refuse() -> None:
            raise UserError(
                f"{len(offenders)} steps in a row gave no finite gradient, the last was step {self.state.step}; clips: "
                f"{'; '.join(dict.fromkeys(offenders))}; mend these clips or lower optim.learning_rate, then give the"
                " command again: it continues from the last checkpoint"
            )

        on_main_process(self.accelerator, refuse)

    def _anyone(self, here: bool) -> bool:
        """Whether it is so on any rank."""
        flag = torch.tensor(float(here), device=self.accelerator.device)
        return self.accelerator.reduce(flag, "sum").item() > 0

    def _log(self, window: "_Window", tracking: Tracking | None, profile: Profile) -> dict[str, float]:
        seconds = time.perf_counter() - window.since
        values: dict[str, float] = {}
        if window.sums:
            taken = window.steps - window.skipped
            means = torch.stack([total.float() for total in window.sums.values()]) / taken
            values = dict(zip(window.sums, self.accelerator.reduce(means, "mean").tolist(), strict=True))
        values["train/skipped"] = float(window.skipped)
        values["train/clips_per_second"] = window.steps * self.config.batch_size / seconds
        values["train/data_wait_share"] = window.waited / seconds
        values |= profile.efficiency(window.steps, seconds)
        if torch.cuda.is_available():
            values["train/gpu_gb"] = torch.cuda.max_memory_allocated() / 1e9
        if tracking:
            with self.disk:
                tracking.scalars(self.state.step, values)
        return values

    def _start_tracking(self) -> Tracking | None:
        """On the main process alone."""
        tracking = None

        def start() -> None:
            nonlocal tracking
            tracking = Tracking(self.config, self.run, self.state.step, self.state.tracking_id)
            self.state.tracking_id = tracking.id

        on_main_process(self.accelerator, start)
        return tracking

    def _validate(self, tracking: Tracking | None, progress: Progress) -> Validation:
        """Validate on every rank, keep the best score."""
        task, state = self.module, self.state
        self._share_statistics()
        task.eval()
        with rng_aside():
            result = self.validate(task, state.step)
        score = broadcast_object_list([result.score])[0]
        if score is not None and (state.best_score is None or score > state.best_score):
            state.best_score, state.best_step = score, state.step
        elif state.best_step is None:
            state.best_step = state.step
        if tracking:
            with self.disk:
                tracking.scalars(state.step, {f"val/{name}": value for name, value in result.scalars.items()})
        shown = "  ".join(f"{name} {value:.3f}" for name, value in result.scalars.items())
        best = "  (best)" if state.best_step == state.step else ""
        warning = f"\nwarning: {result.warning}" if result.warning else ""
        progress.note(f"step {state.step}: {shown}{best}{warning}")
        return result

    def _show(self, result: Validation, tracking: Tracking | None) -> None:
        if tracking and result.show:
            with self.disk, rng_aside():
                folder = self.run.samples / f"step-{self.state.step:08d}"
                tracking.media(self.state.step, result.show(folder))

    def _save(self) -> None:
        """Leaves a checkpoint; called on every rank."""
        self._share_statistics()
        generators, optimizer = gather_object([rng_state()]), self.optimisation.state()
        folder, keep = self.run.checkpoints, self.config.keep_checkpoints
        on_main_process(
            self.accelerator,
            lambda: save_checkpoint(folder, self.state, self.module.state_dict(), optimizer, generators, keep),
        )

    def _share_statistics(self) -> None:
        # Each rank has its own running statistics of batch norm; those of rank 0 are saved, so all go on with them.
        if self.accelerator.num_processes > 1:
            for buffer in self.module.buffers():
                torch.distributed.broadcast(buffer, 0)


class _Window:
    """Sums over the steps since the last line of the log; skipped steps are only counted."""

    def __init__(self):
        self.sums: dict[str, torch.Tensor] = {}
        self.steps, self.skipped, self.waited, self.since = 0, 0, 0.0, time.perf_counter()

    @contextmanager
    def waiting(self):
        asked = time.perf_counter()
        yield
        self.waited += time.perf_counter() - asked

    def add(self, values: dict[str, torch.Tensor], taken: bool) -> None:
        self.steps += 1
        self.skipped += not taken
        for name, value in values.items() if taken else ():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
