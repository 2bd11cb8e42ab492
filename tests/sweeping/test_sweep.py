"""The real thing: two workers on four trainings of the generated corpus, one of them killed with its training."""

import json
import signal

import pytest
import yaml
from conftest import slts
from optuna.trial import TrialState
from ranks import TINY, Ranks, differences
from stub_sweep import Sweep, Worker, kill, wait_for

from slts.metrics.columns import validated
from slts.sweeping.trials import origin, run_name, trainings

pytestmark = pytest.mark.long

STEPS = ("steps=6", "validate_every=2")


@pytest.fixture(scope="module")
def swept(tiny_corpus, tmp_path_factory) -> Sweep:
    """The study after its end; ``swept.killed`` is the run that was killed."""
    folder = tmp_path_factory.mktemp("sweep")
    space = {"task.temperature": {"choices": [1.0, 30.0]}, "task.radius": {"integer": [10, 20], "step": 10}}
    given = {"space": space, "sampler": "grid", "overrides": [*TINY, *STEPS]}
    study = Sweep(folder, tiny_corpus, **given)
    keys = [key for key in study.keys if not key.startswith("launch")] + [f"storage={study.storage}"]
    workers = [Worker(folder / f"worker-{i}.log", *keys) for i in range(2)]
    wait_for(lambda: any((study.runs / f"trial-000{i}" / "last").exists() for i in range(2)))
    first, *_ = (run for run in sorted(study.runs.glob("trial-000?")) if (run / "last").exists())
    said = f"in {first}:"
    victim = next(worker for worker in workers if said in worker.log.read_text())
    kill(victim.tree())
    assert victim.end() == -signal.SIGKILL
    survivor = next(worker for worker in workers if worker is not victim)
    survivor.finish()
    study.killed, study.keys = first, keys
    return study


def test_nothing_is_lost_or_doubled(swept):
    done = trainings(swept.study)
    assert sorted(run_name(trial) for trial in done) == sorted(run.name for run in swept.runs.glob("trial-????"))
    assert {trial.state for trial in done} == {TrialState.COMPLETE}
    assert len(done) == len({tuple(sorted(trial.params.items())) for trial in done}) == 4
    [again] = [trial for trial in done if origin(trial) != trial.number]
    assert run_name(again) == swept.killed.name
    assert sorted(again.intermediate_values) == [2, 4, 6]


def test_the_killed_trial_ends_in_the_weights_of_one_in_peace(swept, tiny_corpus, tmp_path):
    config = yaml.safe_load((swept.killed / "config.yaml").read_text())
    point = [f"task.{key}={config['task'][key]}" for key in ("temperature", "radius")]
    Ranks(1, tmp_path / "log", f"data={tiny_corpus}", f"runs={tmp_path}", "name=peace", *STEPS, *point).finish()
    assert (swept.killed / "last" / "model.safetensors").exists()
    assert differences(swept.killed, tmp_path / "peace") == []


def test_validation_reports_what_objectives_may_name(swept):
    reported = {name for trial in trainings(swept.study) for name in trial.user_attrs if name.startswith("val/")}
    assert reported <= {*validated("speech"), *validated("offsets")} and {"val/a_stoi", "val/offset_mae_ms"} <= reported


def test_the_report(swept):
    slts("sweep", "action=report", "study=stubs", f"storage={swept.storage}", f"runs={swept.folder}")
    out = swept.runs / "report"
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    assert "4 trials: 4 complete" in text and "| trial | val/a_stoi |" in text
    pictures = {file.name for file in out.glob("*.png")}
    assert len(pictures) == 4 and all(f'src="{name}"' in page and f"({name})" in text for name in pictures)
    assert len(json.loads((out / "study.json").read_text())["trainings"]) == 4
    table = (out / "trials.csv").read_text().splitlines()
    assert len(table) == 5 and "val/offset_mae_ms" in table[0]
    refused = slts("sweep", "action=report", "study=none", f"storage={swept.storage}", check=False)
    assert refused.returncode == 2 and "holds no study 'none'" in refused.stderr


def test_a_trial_under_accelerate(tiny_corpus, tmp_path):
    study = Sweep(tmp_path, tiny_corpus, overrides=[*TINY, "steps=1", "task.radius=12"], trials=1)
    keys = [key for key in study.keys if not key.startswith("launch")] + [f"storage={study.storage}"]
    worker = Worker(tmp_path / "log", *keys, "launch=launch/accelerate/cpu.yaml")
    worker.finish()
    [trial] = study.trials
    assert trial.state == TrialState.COMPLETE, trial.user_attrs
