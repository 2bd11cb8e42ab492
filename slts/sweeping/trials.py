"""Which of a study's trials are one and the same training, and how many there are.

Optuna fails the trial of a worker that died and has it done again as a new one. Both are one training in one run
directory, named after the first. Two workers may begin the study's last trial at once: the later one is surplus.
"""

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial

SURPLUS = "surplus"
"""User attribute of a trial that was begun beyond the budget and did nothing."""
REASON = "reason"
"""User attribute: why a trial failed."""
RUN = "run"
"""User attribute: the trial's run directory."""


def origin(trial: FrozenTrial) -> int:
    """Number of the first trial of this training."""
    return trial.system_attrs.get("failed_trial", trial.number)


def run_name(trial: FrozenTrial) -> str:
    return f"trial-{origin(trial):04d}"


def place(study: optuna.Study, trial: FrozenTrial) -> int:
    """How many trainings of the study were begun before this one."""
    return sum(origin(other) < origin(trial) for other in trainings(study))


def trainings(study: optuna.Study) -> list[FrozenTrial]:
    """The latest trial of each training, in the order of their beginning."""
    latest = {}
    for trial in study.get_trials(deepcopy=False):
        if SURPLUS not in trial.user_attrs:
            latest[origin(trial)] = trial
    return [latest[number] for number in sorted(latest)]


def hours(study: optuna.Study) -> float:
    """Time that finished trials took, summed."""
    spans = [trial.duration for trial in study.get_trials(deepcopy=False) if trial.duration is not None]
    return sum(span.total_seconds() for span in spans) / 3600


def do_again(study: optuna.Study, trial: FrozenTrial, most: int | None) -> None:
    """Puts the training of a trial that was cut short in the queue, unless that was done ``most`` times already."""
    if SURPLUS in trial.user_attrs:
        return
    later = study.get_trials(deepcopy=False)[trial.number + 1 :]
    if any(origin(other) == origin(trial) for other in later):
        return  # its worker stopped cleanly, and died after putting it there
    RetryHeartbeatStaleTrialCallback(max_retry=most)(study, trial)
