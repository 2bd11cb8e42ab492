"""One worker of an Optuna study, or with action=report what the study found.

`slts sweep study=tau data=DIR`: start as many workers as there are machines, at any time, on one storage. Each takes
trial after trial until the study's budget is met; a trial is a run of slts train in RUNS/STUDY/trial-NNNN. A worker
that dies loses nothing: another one, or itself started again, continues its trial from the last checkpoint.
Where the study's file has evaluate: [split=test], every run is scored by slts evaluate and the report comes by itself.
`optuna-dashboard STORAGE` shows the study while it runs.

Exit status: 0 finished; 2 refused, or every trial failed; 75 stopped by SIGTERM or SIGUSR1, the same command continues.
"""

import re
import shutil
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def main(config) -> int:
    import warnings

    import optuna

    from slts.errors import UserError
    from slts.sweeping.storage import open_storage
    from slts.sweeping.trials import do_again

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = config.name or Path(config.study).stem
    if not NAME.fullmatch(name):
        raise UserError(f"name={name} must be letters, digits, '.', '_' and '-', since it names a folder and a group")
    runs = Path(config.runs) / name

    def storage():
        return open_storage(config.storage, config.heartbeat_seconds, lambda s, t: do_again(s, t, config.retries))

    if config.action == "report":
        try:
            study = optuna.load_study(study_name=name, storage=storage())
        except KeyError:
            raise UserError(
                f"{config.storage} holds no study '{name}'; give the name= or storage= it ran with"
            ) from None
        _report(study, runs, config.out)
        return 0

    from slts.sweeping.space import override
    from slts.sweeping.study import check_study, open_study, read_study
    from slts.sweeping.worker import Worker

    study = read_study(config.study, list(config.overrides), config.trials)
    if config.launch and not (Path(config.launch).is_file() or shutil.which(config.launch)):
        raise UserError(f"launch={config.launch} is not there; give a .yaml of launch/accelerate, or a program")
    common = [override("runs", str(runs))]
    if config.data:
        common.append(override("data", config.data))
    train_config, definition = check_study(study, [*common, "name=trial"])
    if train_config.tracking.name == "wandb" and train_config.tracking.group is None:
        common.append(override("tracking.group", name))
    opened = open_study(storage(), name, study, train_config, definition)
    status = Worker(study, opened, config, common, runs, train_config.steps).work()
    if status == 0:
        _refuse_if_all_failed(opened)
        if study.evaluate is not None:
            _report(opened, runs, config.out)
    return status


def _refuse_if_all_failed(study) -> None:
    from optuna.trial import TrialState

    from slts.errors import UserError
    from slts.sweeping.trials import REASON, trainings

    done = trainings(study)
    if done and all(trial.state == TrialState.FAIL for trial in done):
        reason = done[-1].user_attrs.get(REASON, "its workers died")
        raise UserError(f"all {len(done)} trials of study '{study.study_name}' failed, the last: {reason}")


def _report(study, runs: Path, out: str | None) -> None:
    from slts.sweeping.report import report

    folder = Path(out) if out else runs / "report"
    report(study, runs, folder)
    print(f"written to {folder}/report.md and {folder}/report.html")
