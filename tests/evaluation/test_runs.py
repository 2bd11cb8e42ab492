"""Runs that cannot be used say why."""

import pytest
from omegaconf import OmegaConf

from slts.config import compose
from slts.errors import UserError
from slts.evaluation.runs import load_run
from slts.training.run_directory import RunDirectory

CORPUS = {"name": "x", "hash": "0", "splits": {}, "speakers": ["a"], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}


def test_a_run_of_another_version_is_named_as_such(tmp_path):
    config, _ = compose("train", ["data=x", "name=old", f"runs={tmp_path}", "experiment=cpu"])
    run = RunDirectory(tmp_path / "old")
    run.open_for_training(config, CORPUS)
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_run(run.path)
    (run.path / "best").mkdir()
    OmegaConf.set_struct(config, False)
    del config.task.stop_gradient
    (run.path / "config.yaml").write_text(OmegaConf.to_yaml(config))
    with pytest.raises(UserError, match=r"no task\.stop_gradient, so another version"):
        load_run(run.path)
