"""A study as a small JSON file that is kept for good: its search space, and each training with settings and figures.

``study`` is the name, ``objectives`` maps the metrics to minimize or maximize, ``space`` the parameters to their
distributions in Optuna's JSON, and ``trainings`` holds one object each: state, values, params, figures.
"""

import json
from pathlib import Path

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import TrialState, create_trial

from slts.errors import UserError
from slts.files import write_whole
from slts.sweeping.trials import RUN, trainings

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def write_record(study: optuna.Study, path: Path) -> None:
    """Keeps the trainings that ended, complete or pruned; folders of this machine are left out."""
    ended = [trial for trial in trainings(study) if trial.state in ENDED]
    space = {key: json.loads(distribution_to_json(d)) for trial in ended for key, d in trial.distributions.items()}
    record = {
        "study": study.study_name,
        "objectives": dict(zip(study.metric_names, [way.name.lower() for way in study.directions], strict=True)),
        "space": space,
        "trainings": [
            {
                "state": trial.state.name,
                "values": trial.values,
                "params": trial.params,
                "figures": {name: value for name, value in trial.user_attrs.items() if name != RUN},
            }
            for trial in ended
        ],
    }
    write_whole(path, (json.dumps(record, indent=1) + "\n").encode())


def read_record(path: Path) -> optuna.Study:
    """The study of ``write_record``, in memory, for Optuna's and our pictures.

    Raises:
        UserError: no such file, or not a record.
    """
    try:
        record = json.loads(path.read_text())
        space = {key: json_to_distribution(json.dumps(given)) for key, given in record["space"].items()}
        study = optuna.create_study(study_name=record["study"], directions=[*record["objectives"].values()])
        study.set_metric_names([*record["objectives"]])
        for training in record["trainings"]:
            params = training["params"]
            study.add_trial(
                create_trial(
                    state=TrialState[training["state"]],
                    values=training["values"],
                    params=params,
                    distributions={key: space[key] for key in params},
                    user_attrs=training["figures"],
                )
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a record of a study ({error!r}); slts sweep action=report writes one") from None
    return study
