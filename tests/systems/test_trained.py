"""Runs that cannot be used say why."""

import pytest
import torch
from conftest import ROOT, slts
from omegaconf import OmegaConf

from slts.config import compose
from slts.errors import UserError
from slts.systems.trained import load_run
from slts.training.run_directory import RunDirectory, config_hash

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


BOMB = "a: &a [x]\n" + "".join(f"k{i}: &k{i} [{', '.join(['*a' if i == 0 else f'*k{i - 1}'] * 9)}]\n" for i in range(8))


@pytest.mark.parametrize(
    "text",
    [BOMB, "[1, 2]", "x", "", "task: {name: [", "a: !!python/object/apply:os.system [x]", "[" * 5000,
     "[" * 90_000, "- " * 40_000, "a: 1\n" * 10**5,
     "task: {name: 1}", "task: slts"],
)  # fmt: skip
def test_a_strange_config_is_one_line(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml is no config\.yaml of slts train") as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 10**5, '{"name": "x", "mel": {"mean": [NaN], "std": [1]}}'])
def test_a_strange_corpus_json_of_a_run_is_one_line(tmp_path, text):
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(UserError, match=r"is no corpus\.json of slts train") as caught:
        RunDirectory(tmp_path).corpus()
    assert "\n" not in str(caught.value)


def test_data_is_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "there" / "shards").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    config, _ = compose("train", ["data=shards", "name=x", f"runs={tmp_path}"])
    run = RunDirectory(tmp_path / "x")
    run.open_for_training(config, CORPUS)
    assert OmegaConf.load(run.path / "config.yaml").data == "shards"
    monkeypatch.chdir(tmp_path / "here")
    found = run.config()
    assert found.data == str(tmp_path / "there" / "shards") and config_hash(found) == config_hash(config)
    run.check(config, CORPUS)


def test_another_process_loads_a_run_from_where_it_came(speaking):
    run = load_run(speaking)
    load, arguments = run.__reduce__()
    other = load(*arguments)
    assert other is not run and other is load(*arguments) and other.provenance() == run.provenance()
    assert not any(isinstance(one, torch.nn.Module) for one in arguments)
    run.weights_sha256 = "0"
    load, arguments = run.__reduce__()
    with pytest.raises(UserError, match="its weights are not those of the process that gave the command"):
        load(*arguments)
    run.origin = None
    with pytest.raises(TypeError, match="no other can load it"):
        run.__reduce__()


def test_a_run_on_a_relative_folder_is_evaluated_from_anywhere(tiny_corpus, tmp_path):
    for name in ("there", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "shards").symlink_to(tiny_corpus)
    keys = ["data=shards", "name=r", "experiment=cpu", "tracking=none", "steps=1", "validate_clips=1", "batch_size=2"]
    environment = {"PYTHONPATH": str(ROOT)}
    slts("train", *keys, "model.width=32", "model.layers=1", cwd=tmp_path / "there", **environment)
    run = "../there/runs/r"
    slts("evaluate", f"run={run}", "split=val", "workers=1", "show=0", cwd=tmp_path / "here", **environment)
    assert (tmp_path / "there" / "runs" / "r" / "clips-val.csv").is_file()
    assert list((tmp_path / "here").iterdir()) == []
