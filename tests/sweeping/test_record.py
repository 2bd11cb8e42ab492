"""A study kept as JSON is the study again; what is no record is refused."""

import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from slts.errors import UserError
from slts.sweeping.record import read_record, write_record

SPACE = {"tau": FloatDistribution(0.3, 100.0, log=True), "variant": CategoricalDistribution(["paper", "no_asm"])}


@pytest.fixture
def study():
    study = optuna.create_study(study_name="both", directions=["maximize", "minimize"])
    study.set_metric_names(["val/a_stoi", "val/offset_mae_ms"])
    common = {"params": {"tau": 3.25, "variant": "no_asm"}, "distributions": SPACE}
    figures = {"val/a_stoi": 0.625, "run": "/data/runs/trial-0000"}
    study.add_trial(create_trial(state=TrialState.COMPLETE, values=[0.625, 10.5], user_attrs=figures, **common))
    study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs={"val/a_stoi": 0.25}, **common))
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"reason": "no memory"}, **common))
    return study


def test_what_is_written_is_read(study, tmp_path):
    write_record(study, tmp_path / "study.json")
    again = read_record(tmp_path / "study.json")
    assert (again.study_name, again.directions, again.metric_names) == ("both", study.directions, study.metric_names)
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    for before, after in zip(study.trials, again.trials, strict=False):
        assert (after.values, after.params, after.distributions) == (before.values, before.params, SPACE)
        assert after.user_attrs == {"val/a_stoi": before.user_attrs["val/a_stoi"]}, "and no folder of this machine"


@pytest.mark.parametrize("damage", [{"space": {"tau": {"name": "os.system"}}}, {"objectives": []}, {"trainings": [{}]}])
def test_refused(study, tmp_path, damage):
    path = tmp_path / "study.json"
    write_record(study, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(UserError, match=r"study\.json: not a record of a study"):
        read_record(path)
