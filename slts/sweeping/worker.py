"""One worker: takes trial after trial from Optuna until the study's budget is met."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, Trial, TrialState

from slts.sweeping.process import Leashed, command, holder, kill_holder, scoring, validations
from slts.sweeping.space import suggest
from slts.sweeping.study import Study
from slts.sweeping.trials import REASON, RUN, SURPLUS, do_again, hours, place, run_name, trainings
from slts.training.guards import STOPPED, Interruption

POLL = 0.5
STARTS = 3
"""Times a worker starts a trial's training, which goes on where it was, or its scoring before it gives the trial up."""
SAVED = (STOPPED, *range(129, 160))
"""Exit statuses after which a training is started again: stopped after saving, or killed."""


class TrialFailed(Exception):
    """The trial ends without a value; the message is kept as its reason."""


class Stopped(Exception):
    """The worker was told to stop; the trial is in the queue again."""


@dataclass
class Worker:
    """``config`` is of ``slts sweep``, ``common`` are overrides of every trial, ``steps`` is where one ends."""

    study: Study
    opened: optuna.Study
    config: DictConfig
    common: list[str]
    runs: Path
    steps: int

    def work(self) -> int:
        """Exit status: 0 when nothing is left to do, 75 when a signal stopped it."""
        with Interruption() as self.interruption:
            try:
                while self._anything_left():
                    self.opened.optimize(self._train, n_trials=1, catch=(TrialFailed,))
                    self._tell()
            except Stopped:
                print(
                    f"stopped by {self.interruption.signal}: the trial is saved, the next worker continues it",
                    flush=True,
                )
                return STOPPED
        return 0

    def _anything_left(self) -> bool:
        """Whether a trial may begin; waits, if it is to stay, while others run whose worker may die."""
        said = False
        while not self.interruption.signal:
            optuna.storages.fail_stale_trials(self.opened)
            states = [trial.state for trial in self.opened.get_trials(deepcopy=False)]
            if TrialState.WAITING in states or not self._budget_met():
                return True
            if TrialState.RUNNING not in states or not self.config.stay:
                return False
            if not said:
                print(f"{states.count(TrialState.RUNNING)} trials run elsewhere; waiting for them", flush=True)
                said = True
            self._sleep(self.config.heartbeat_seconds)
        raise Stopped

    def _budget_met(self) -> bool:
        begun = len(trainings(self.opened))
        enough_trials = self.study.trials is not None and begun >= self.study.trials
        return enough_trials or (self.study.hours is not None and hours(self.opened) >= self.study.hours)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.interruption.signal:
            time.sleep(min(POLL, seconds))

    def _train(self, trial: Trial) -> float | list[float]:
        """The objective: trains, scores if the study says so, and returns the figures of the best validation."""
        self.number = trial.number
        frozen = self._frozen(self.number)
        if self.study.trials is not None and place(self.opened, frozen) >= self.study.trials:
            trial.set_user_attr(SURPLUS, True)
            raise TrialFailed
        values = suggest(trial, self.study.space)
        name = run_name(frozen)
        run = self.runs / name
        trial.set_user_attr(RUN, str(run))
        shown = ", ".join(f"{key}={value}" for key, value in values.items())
        print(f"trial {trial.number} in {run}: {shown}", flush=True)
        overrides = [*self.study.point(values), *self.common, f"name={name}"]
        words = command(self.config.launch, list(self.config.launch_options), overrides)
        try:
            training = self._run(words, run, partial(self._report, trial, run, set()))
            best = self._outcome(trial, training, run)
            if self.study.evaluate is not None:
                scored = self._run(scoring(run, self.study.evaluate), run)
                if scored.status:
                    raise TrialFailed(f"slts evaluate, exit status {scored.status}: {scored.last_words}")
            return best
        except (Stopped, KeyboardInterrupt):
            do_again(self.opened, self._frozen(trial.number), most=None)
            raise
        except TrialFailed as failure:
            trial.set_user_attr(REASON, str(failure))
            raise

    def _frozen(self, number: int) -> FrozenTrial:
        return self.opened.get_trials(deepcopy=False)[number]

    def _wait_until_free(self, run: Path) -> None:
        """A training that lost its worker saves and ends by itself; one that lost its leash too is killed."""
        since = time.monotonic()
        while found := holder(run):
            if self.interruption.signal:
                raise Stopped
            if time.monotonic() - since > self.config.grace_seconds + POLL:
                kill_holder(found)
            time.sleep(POLL)

    def _run(self, words: list[str], run: Path, watch: Callable[[], None] = lambda: None) -> Leashed:
        """Runs a command to its end, and again where it was killed; calls ``watch`` all the while. Raises Stopped."""
        for _ in range(STARTS):
            self._wait_until_free(run)
            process = Leashed(words, run.with_suffix(".log"), self.config.grace_seconds)
            try:
                while process.status is None:
                    watch()
                    if self.interruption.signal:
                        raise Stopped
                    time.sleep(POLL)
                watch()
            finally:
                process.end()
            if process.status not in SAVED:
                break
        return process

    def _report(self, trial: Trial, run: Path, reported: set[int]) -> None:
        """Tells Optuna of validations that are not among ``reported``. Raises TrialPruned."""
        for step, figures in validations(run).items():
            value = figures.get(self.study.metrics[0])
            if step in reported or value is None or len(self.study.metrics) > 1:
                continue
            reported.add(step)
            trial.report(value, step)
            if step < self.steps and trial.should_prune():
                self._keep_figures(trial, run)
                raise optuna.TrialPruned(f"at step {step}")

    def _outcome(self, trial: Trial, training: Leashed, run: Path) -> float | list[float]:
        if training.status:
            raise TrialFailed(f"exit status {training.status}: {training.last_words}")
        best = self._keep_figures(trial, run)
        if missing := [name for name in self.study.metrics if name not in best]:
            raise TrialFailed(f"no validation gave a finite {missing[0]}")
        return [best[name] for name in self.study.metrics]

    def _keep_figures(self, trial: Trial, run: Path) -> dict[str, float]:
        """What the best validation by the first objective reports, kept as the trial's attributes."""
        name, direction = self.study.objectives[0]
        known = {step: figures for step, figures in validations(run).items() if name in figures}
        if not known:
            return {}
        best = (max if direction == "maximize" else min)(known, key=lambda step: known[step][name])
        for key, value in {**known[best], "best_step": best}.items():
            trial.set_user_attr(key, value)
        return known[best]

    def _tell(self) -> None:
        """Prints how this worker's latest trial ended."""
        trial = self._frozen(self.number)
        if SURPLUS in trial.user_attrs:
            return
        done = sum(other.state.is_finished() for other in trainings(self.opened))
        result = trial.user_attrs.get(REASON) or ", ".join(f"{value:.4f}" for value in trial.values or ())
        print(
            f"trial {trial.number} {trial.state.name.lower()}: {result}; {done} of {self.study.trials or '?'} done",
            flush=True,
        )
