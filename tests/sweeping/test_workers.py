"""Workers of one study, with stubs for trainings: budget, pruning, failures, deaths, storages."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
from optuna.trial import TrialState
from stub_sweep import Sweep, kill, wait_for

from slts.sweeping.process import holder
from slts.sweeping.trials import origin, trainings

pytestmark = pytest.mark.long


@pytest.fixture
def sweep(tmp_path, tiny_corpus):
    return lambda **changes: Sweep(tmp_path, tiny_corpus, **changes)


GRID = {
    "space": {"task.temperature": {"choices": [1.0, 2.0, 3.0]}, "task.radius": {"choices": [12, 13]}},
    "sampler": "grid",
}


def test_two_workers_do_a_grid_once_and_go_on_after_failures(sweep):
    study = sweep(**GRID)
    workers = [study.start() for _ in range(2)]
    said = "".join(worker.finish() for worker in workers)
    done = trainings(study.study)
    assert len(done) == 6 and said.count(" complete: ") == 3 and said.count(" fail: ") == 3
    assert {(t.params["task.temperature"], t.params["task.radius"]) for t in done} == {
        (tau, radius) for tau in (1.0, 2.0, 3.0) for radius in (12, 13)
    }
    for trial in done:
        run = study.runs / f"trial-{trial.number:04d}"
        assert trial.user_attrs["run"] == str(run) and study.starts(run.name) == ["0"]
        if trial.params["task.radius"] == 13:
            assert trial.state == TrialState.FAIL
            assert trial.user_attrs["reason"] == "exit status 2: 10 steps in a row gave no finite gradient"
            assert "no finite gradient" in run.with_suffix(".log").read_text()
        else:
            assert trial.value == pytest.approx(trial.params["task.temperature"] + 0.06)
            assert trial.user_attrs["best_step"] == 6
            assert trial.user_attrs["val/offset_mae_ms"] == pytest.approx(100 - trial.value)


def test_a_bad_trial_is_pruned_and_the_study_is_extended(sweep):
    study = sweep(space={"task.temperature": {"choices": [3.0, 2.0, 1.0]}}, sampler="grid", pruner="asha")
    study.keys.append("overrides=['steps=40']")
    study.start("trials=1").finish()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]
    log = study.start("trials=3").finish()
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED], log
    pruned = study.trials[1]
    assert pruned.last_step < 40 and pruned.value == pytest.approx(2 + 0.01 * pruned.last_step)
    assert int((study.runs / "trial-0001" / "checkpoint").read_text()) < 40, "it ended early"
    assert "trial-0003" not in os.listdir(study.runs)


def test_a_run_that_cannot_be_scored_fails(sweep):
    study = sweep(trials=1, evaluate=["split=test"])
    worker = study.start()  # the stub leaves nothing that could be scored
    assert worker.end() == 2 and "all 1 trials of study 'stubs' failed, the last: slts eval" in worker.log.read_text()
    [trial] = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"].startswith("slts evaluate, exit status 2: run=")
    assert "holds no config.yaml" in trial.user_attrs["reason"]


def test_hours_are_a_budget(sweep):
    study = sweep(hours=1e-5)
    study.start().finish()
    assert len(study.trials) == 1


def hold(study: Sweep) -> None:
    """Trainings will wait after their step 3, so that what is killed is not done before."""
    study.runs.mkdir()
    (study.runs / "hold").touch()


def wait_for_step_3(study: Sweep) -> None:
    file = study.runs / "trial-0000" / "checkpoint"
    wait_for(lambda: file.exists() and file.read_text() == "3")


def go_on(study: Sweep) -> None:
    (study.runs / "hold").unlink()


@pytest.mark.parametrize("victims", ["worker", "worker and training", "all", "training"])
@pytest.mark.parametrize("storage", ["sqlite:///{}/sweeps.db", "journal:{}/sweeps.log"])
def test_kill_9(sweep, victims, storage):
    if victims in ("all", "training") and storage.startswith("journal"):
        pytest.skip("the storage makes no difference there")
    study = sweep(trials=2)
    study.storage = storage.format(study.folder)
    hold(study)
    worker = study.start()
    wait_for_step_3(study)
    one, leash, training = worker.tree()
    kill(
        {"worker": [one], "worker and training": [one, training], "all": [one, leash, training]}.get(
            victims, [training]
        )
    )
    go_on(study)
    if victims == "training":
        worker.finish()
    else:
        assert worker.end() == -signal.SIGKILL
        study.start().finish()
    first, *_ = done = trainings(study.study)
    assert len(done) == 2 and all(trial.state == TrialState.COMPLETE for trial in done)
    starts = study.starts("trial-0000")
    assert len(starts) == 2 and starts[0] == "0" and int(starts[1]) >= 3, "resumed, not restarted"
    assert first.user_attrs["run"].endswith("trial-0000") and first.user_attrs["best_step"] == 6
    assert sorted(first.intermediate_values) == [1, 2, 3, 4, 5, 6]
    assert sorted(os.listdir(study.runs)) == [f"trial-{origin(t):04d}{s}" for t in done for s in ("", ".log")]
    assert holder(study.runs / "trial-0000") is None


def test_sigterm_saves_and_leaves_the_trial_to_the_next(sweep):
    study = sweep(trials=1)
    hold(study)
    worker = study.start("heartbeat_seconds=600")
    wait_for_step_3(study)
    os.kill(worker.process.pid, signal.SIGTERM)
    go_on(study)
    assert worker.end() == 75 and "stopped by SIGTERM" in worker.log.read_text()
    began = time.monotonic()
    study.start("heartbeat_seconds=600").finish()
    assert time.monotonic() - began < 300, "at once, not when a heartbeat is missed"
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert len(trainings(study.study)) == 1 and len(study.starts("trial-0000")) == 2


def test_a_trial_that_kills_its_workers_is_given_up(sweep):
    study = sweep(trials=1)
    hold(study)
    worker = study.start()
    wait_for_step_3(study)
    kill(worker.tree())
    worker.end()
    assert study.start("retries=0").end() == 2
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


@pytest.fixture
def postgresql():
    """URL of a server of Debian's PostgreSQL that lives as long as the test."""
    pytest.importorskip("psycopg", reason="no driver of PostgreSQL; pip install 'slts[sweep]'")
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("pg_ctl") or (binaries and str(binaries[-1] / "pg_ctl"))
    if not found:
        pytest.skip("no PostgreSQL; apt-get install postgresql")
    binaries = Path(found).resolve().parent
    owner = {}
    folder = Path(
        tempfile.mkdtemp(prefix="pg")
    )  # short: it holds a socket; outside tmp_path, which others may not enter
    if os.getuid() == 0:  # the server refuses to be root
        owner = {"user": "nobody"}
        shutil.chown(folder, "nobody")
    run = partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL, **owner)
    run([binaries / "initdb", "-D", folder / "data", "-U", "slts", "-A", "trust", "--no-sync"])
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    run([binaries / "pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start"])
    yield f"postgresql+psycopg://slts@/postgres?host={folder}"
    run([binaries / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"])
    shutil.rmtree(folder)


def test_three_workers_on_postgresql(sweep, postgresql):
    study = sweep(trials=9)
    study.storage = postgresql
    hold(study)
    workers = [study.start() for _ in range(3)]
    wait_for_step_3(study)
    killed = next(worker for worker in workers if worker.trains(study.runs / "trial-0000"))
    kill(killed.tree())
    go_on(study)
    killed.end()
    for worker in workers:
        if worker is not killed:
            worker.finish()
    done = trainings(study.study)
    assert [t.state for t in done if t.state not in (TrialState.COMPLETE, TrialState.FAIL)] == []
    assert len(done) == 9 and len({origin(trial) for trial in done}) == 9
    runs = [file for file in study.runs.iterdir() if file.is_dir()]
    assert len(runs) == 9
    assert sorted(len(study.starts(run.name)) for run in runs) == [1] * 8 + [2], "one was continued, none done twice"
