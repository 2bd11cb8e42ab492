"""Study files: every one of sweeps/ is what slts train takes, and what cannot work is refused before a trial starts."""

import optuna
import pytest
import yaml
from conftest import slts

from slts.cli import run
from slts.errors import UserError
from slts.sweeping.study import check_study, open_study, read_study, sweeps_dir

GIVEN = {"space": {"task.temperature": {"log": [0.1, 10]}}, "overrides": ["experiment=cpu"], "trials": 2}


def common(corpus) -> list[str]:
    return [f"data={corpus}", "name=trial"]


def written(folder, **changes) -> str:
    (folder / "own.yaml").write_text(yaml.safe_dump({**GIVEN, **changes}))
    return str(folder / "own.yaml")


@pytest.mark.parametrize("name", sorted(file.stem for file in sweeps_dir().glob("*.yaml")))
def test_studies_of_the_project(name, tiny_corpus):
    check_study(read_study(name, []), common(tiny_corpus))


def test_the_ablation_is_two_by_two_times_seeds():
    study = read_study("ablation", [])
    assert study.trials == 12
    assert set(study.space) == {"task.discriminators", "variant", "seed"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {}}, "space is empty"),
        (
            {"space": {"task.temprature": {"log": [1, 2]}}},
            "space: task.temprature=1.0: .* did you mean task.temperature",
        ),
        (
            {"space": {"task.radius": {"integer": [5, 500]}}},
            "space: chunk_seconds=2.0 is too short for task.radius=500",
        ),
        ({"space": {"task.loss.soft": {"uniform": [-1, 1]}}}, "space: task.loss.soft=-1.0: must be >=0"),
        ({"space": {"variant": {"choices": ["paper", "no_dsm"]}}}, "no such variant; choose one of"),
        ({"overrides": ["experiment=cpu", "stps=5"]}, "stps=5: slts train has no key 'stps'"),
        ({"overrides": ["data=pipe:reboot"]}, "data, name, runs, dry_run are not a study's to set"),
        ({"objectives": {"val/pesq": "maximize"}}, "nobody reports val/pesq; choose among val/a_stoi"),
        (
            {
                "objectives": {"val/offset_mae_ms": "minimize"},
                "overrides": ["task=vcagan"],
                "space": {"optim.learning_rate": {"log": [1e-4, 1e-3]}},
            },
            "nobody reports val/offset_mae_ms; choose among val/a_stoi, val/stoi, val/a_estoi$",
        ),
        ({"objectives": {"val/a_stoi": "up"}}, "objectives must be like"),
        ({"objectives": {"val/a_stoi": "maximize", "val/stoi": "maximize"}, "pruner": "asha"}, "use pruner: none"),
        ({"sampler": "cma"}, "sampler: cma must be one of tpe, random, grid"),
        ({"sampler": "grid"}, "sampler: grid needs choices or integer"),
        ({"trials": None}, "has no budget"),
        ({"trials": 0}, "trials: 0 must be a whole number above 0"),
        ({"seeds": [1, 2]}, "seeds is no key of a study"),
        ({"evaluate": "split=test"}, r"evaluate must be a list such as \[split=test\]"),
        ({"evaluate": ["data=pipe:reboot"]}, "scored on its own corpus; leave run and data out"),
        ({"evaluate": ["splt=test"]}, "evaluate: splt=test: slts evaluate has no key 'splt'"),
    ],
)
def test_refused(tmp_path, tiny_corpus, changes, message):
    with pytest.raises(UserError, match=message):
        check_study(read_study(written(tmp_path, **changes), []), common(tiny_corpus))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("space: {seed: {choices: [&a [x, x], &b [*a, *a], [*b, *b]]}}", "YAML aliases"),
        ("[" * 5000, "nested deeper"),
        ("overrides: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("space: {", "expected the node content"),
    ],
)
def test_what_is_no_plain_yaml(tmp_path, text, reason):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=f"own.yaml is not YAML that can be read: .*{reason}") as caught:
        read_study(str(tmp_path / "own.yaml"), [])
    assert "\n" not in str(caught.value)


def test_a_study_that_is_not_there():
    with pytest.raises(UserError, match="choose one of ablation, evidence_cpu, "):
        read_study("taus", [])


def test_shards_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.json"):
        check_study(read_study(written(tmp_path), []), common(tmp_path))


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////proc/none/s.db", "cannot be reached or written"),
        ("journal:/proc/none/s.log", "cannot be written"),
        ("postgresql+nodriver://me:secret@localhost/x", "whose driver is installed"),
        ("nonsense", "give sqlite:///FILE"),
    ],
)
def test_a_storage_that_cannot_be(storage, message):
    from slts.sweeping.storage import open_storage

    with pytest.raises(UserError, match=message) as refused:
        open_storage(storage, 30, print)
    assert "secret" not in str(refused.value)


def test_another_study_of_the_same_name(tmp_path, tiny_corpus):
    storage = f"sqlite:///{tmp_path}/s.db"
    optuna.create_study(study_name="own", storage=storage).set_user_attr("definition", {"space": {}})
    done = slts(
        "sweep",
        f"study={written(tmp_path)}",
        f"data={tiny_corpus}",
        f"storage={storage}",
        f"runs={tmp_path}",
        check=False,
    )
    assert done.returncode == 2
    assert "holds a study 'own' that differs in space, objectives, the overrides, the corpus; give name=" in done.stderr


def test_a_study_that_another_worker_begins_meanwhile_is_joined(tmp_path, tiny_corpus, monkeypatch):
    """The other writes the definition and takes its first trial between what this one reads of the study."""
    study = read_study(written(tmp_path), [])
    config, definition = check_study(study, common(tiny_corpus))
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/s.db")
    acted = []

    def read(name):
        """The property, after the first reading of which the other acts."""
        inner = getattr(optuna.Study, name).fget

        def reading(self):
            found = inner(self)
            if not acted:
                acted.append(name)
                self.set_user_attr("definition", definition)
                self.ask()
            return found

        return property(reading)

    for name in ("trials", "user_attrs"):
        monkeypatch.setattr(optuna.Study, name, read(name))
    opened = open_study(storage, "own", study, config, definition)
    assert acted and len(opened.trials) == 1 and opened.user_attrs["definition"] == definition


def test_a_launch_that_is_not_there(tmp_path, tiny_corpus):
    keys = [f"study={written(tmp_path)}", f"data={tiny_corpus}", f"runs={tmp_path}", "launch=/bin/nosuch"]
    done = slts("sweep", *keys, check=False)
    assert done.returncode == 2 and "launch=/bin/nosuch is not there; give a .yaml" in done.stderr
    assert not (tmp_path / "sweeps.db").exists()


@pytest.mark.parametrize(
    "overrides",
    [["experiment=../../x/exp"], ["experiment=PATH/x/exp"], ["data=COMMAND"], [" data=COMMAND"], ["experiment={x: 1}"],
     ["corpus@_global_=../x/exp"], ["hydra.searchpath=[file://PATH/x]", "experiment=exp"], ["name=${oc.env:HOME}"]],
)  # fmt: skip
def test_a_study_of_somebody_else_runs_nothing(tmp_path, tiny_corpus, overrides, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    command = f"'pipe:touch {canary} {{name}}'"
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "exp.yaml").write_text(f"# @package _global_\ndata: {command}\n")
    lines = [line.replace("PATH", str(tmp_path)).replace("COMMAND", command) for line in overrides]
    study = written(tmp_path, overrides=lines)
    # With data= the command line would win over the file; without it nothing but the file names the data.
    for data in ([], [f"data={tiny_corpus}"]):
        assert run("sweep", [f"study={study}", f"runs={tmp_path}/runs", "trials=1", *data]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and "not foreseen" not in said
    assert not canary.exists() and not (tmp_path / "runs").exists()
