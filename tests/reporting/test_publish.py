"""slts publish and hf: runs against a stub of the hub: what leaves, what is fetched, and what is said when it fails."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from hub_stub import Hub
from huggingface_hub import constants
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from safetensors.torch import save_file

from slts import offset_of
from slts.cli import run as command
from slts.config import compose
from slts.errors import UserError
from slts.evaluation.results import result_row, write_results
from slts.metrics.columns import columns
from slts.reporting.model_card import model_card
from slts.reporting.results import NUMBERS
from slts.secrecy import for_others
from slts.systems import build_task
from slts.systems.trained import load_run
from slts.training.hub import FILES, fetch_run, fetch_runs
from slts.training.run_directory import RunDirectory, config_hash

CORPUS = {
    "name": "x", "hash": "0", "splits": {"train": {"clips": 9, "hours": 0.5, "speakers": 1}}, "speakers": ["a"],
    "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}, "config": {"root": "/home/bob/my clips", "corpus": "folder"},
}  # fmt: skip
TINY = ["experiment=cpu", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8"]
SECRETS = (b"hunter2", b"bob", b"inner.example", b"my-project", b"optimizer", b"w4ndb1d")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """A run as an older version left it, with all that others must not see, and without scores."""
    runs = tmp_path_factory.mktemp("runs")
    config, _ = compose("train", ["data=x", "name=lips", f"runs={runs}", "tracking.project=my-project", *TINY])
    directory = RunDirectory(runs / "lips")
    directory.open_for_training(config, CORPUS)
    kept = OmegaConf.load(directory.path / "config.yaml")
    kept.data, kept.warm_start = "pipe:curl -u bob:hunter2 https://inner.example/{name}", "/home/bob/runs/base"
    OmegaConf.save(kept, directory.path / "config.yaml")
    (directory.path / "best").mkdir()
    save_file(build_task(config, CORPUS).state_dict(), directory.path / "best" / "model.safetensors")
    (directory.path / "best" / "optimizer.safetensors").write_bytes(b"bob")
    state = {"step": 7, "samples": 4, "tracking_id": "w4ndb1d", "files": {"optimizer.safetensors": 3}}
    (directory.path / "best" / "state.json").write_text(json.dumps(state))
    return directory


@pytest.fixture(scope="module")
def scored(run) -> RunDirectory:
    """The same with a row of scores and a clip to hear."""
    figures = {"stoi": 0.25, "a_stoi": 0.75, "offset_r2_truth": 0.9, "offset_bias_ms": 1.0, "offset_r2_frontend": 0.8}
    scores = {name: figures[name] for name in ("stoi", "a_stoi")}
    clips = [
        {"key": f"a-{i}", "offset_ms": 10.0 * i, "dsm_offset_ms": 9.0 * i, "confidence": 0.5, **scores}
        for i in range(3)
    ]
    clips[0]["w_said"] = "hunter2"
    write_results(run, result_row(run.config(), CORPUS, "test", "none", 7, 3, figures) | {"by": "/home/bob/x"}, clips)
    shown = run.samples / "test"
    shown.mkdir(parents=True)
    for name in ("a-0.wav", "a-0-recorded.wav"):
        soundfile.write(shown / name, np.zeros(1600), 16000)
    Figure().savefig(shown / "a-0.png")
    return run


@pytest.fixture
def hub(monkeypatch, tmp_path):
    stub = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", stub.address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", stub.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield stub
    stub.close()


def refused(verb: str, arguments: list[str], capsys) -> str:
    capsys.readouterr()
    assert command(verb, arguments) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    return said


def test_a_run_without_scores_is_published_and_its_card_says_so(run, tmp_path, capsys):
    assert command("publish", [f"run={run.path}", f"to={tmp_path}/bare"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "no scores" in lines[0]
    assert {str(file.relative_to(tmp_path / "bare")) for file in (tmp_path / "bare").rglob("*") if file.is_file()} == {
        *FILES, "README.md"
    }  # fmt: skip
    assert "Not scored yet" in (tmp_path / "bare" / "README.md").read_text()


def test_a_published_folder_is_a_run_with_a_card_and_holds_no_secret_and_no_place(scored, tmp_path):
    out = tmp_path / "given"
    assert command("publish", [f"run={scored.path}", f"to={out}"]) == 0
    for file in (file for file in out.rglob("*") if file.is_file()):
        assert not [secret for secret in (*SECRETS, str(scored.path.parent).encode()) if secret in file.read_bytes()], (
            file
        )
    known, own = (load_run(path).task.state_dict() for path in (out, scored.path))
    assert all(torch.equal(known[name], own[name]) for name in own)
    assert load_run(out).provenance()["weights"] == load_run(scored.path).provenance()["weights"]
    card = (out / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert {"type": "a_stoi", "name": "a-STOI", "value": 0.75} in front["model-index"][0]["results"][0]["metrics"]
    assert "| a-STOI | 0.750 |" in card and "slts generate run=THIS_FOLDER" in card
    linked = {"figures/offsets_against_truth.png", "samples/a-0.png", "samples/a-0.wav", "samples/a-0-recorded.wav"}
    assert all(f"({name})" in card or f'"{name}"' in card for name in linked)
    assert all((out / name).is_file() for name in linked)
    command("publish", [f"run={scored.path}", f"to={tmp_path}/silent", "samples=0"])
    assert not (tmp_path / "silent" / "samples").exists()


def test_a_card_tells_evaluations_apart(run, tmp_path):
    rows = [
        result_row(run.config(), CORPUS, "test", "none", 7, 3, {"a_stoi": value}, modalities, protocol)
        for value, modalities, protocol in ((0.75, "av", "own"), (0.25, "av", "random"), (0.5, "v", "own"))
    ]
    frame = pd.DataFrame(rows).assign(path=run.path, note="", run="lips", system="s")
    for name in {*columns(table="results"), *NUMBERS}:
        frame[name] = pd.to_numeric(frame[name])
    card = model_card(load_run(run.path), frame, tmp_path, None, None)
    [head] = [line for line in card.splitlines() if line.startswith("| | x")]
    assert [cell.strip() for cell in head.split("|") if cell.strip()] == ["x, test", "x, test-random", "x, test-v"]
    entries = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"]
    assert [entry["dataset"]["split"] for entry in entries] == ["test", "test-random", "test-v"]


def test_a_link_in_a_run_of_somebody_else_does_not_lead_out(scored, tmp_path):
    (tmp_path / "private").write_bytes(b"hunter2")
    shown = scored.samples / "test"
    (shown / "a-9.png").symlink_to(tmp_path / "private")
    (shown / "a-9.wav").symlink_to(tmp_path / "private")
    try:
        assert command("publish", [f"run={scored.path}", f"to={tmp_path}/given"]) == 0
    finally:
        (shown / "a-9.png").unlink()
        (shown / "a-9.wav").unlink()
    assert sorted(file.name for file in (tmp_path / "given" / "samples").iterdir()) == [
        "a-0-recorded.wav", "a-0.png", "a-0.wav"
    ]  # fmt: skip


def test_where_to_is_never_guessed_and_nothing_is_overwritten(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for to, why in (("models/lips", "to=./models/lips or to=hf:models/lips"), ("full", "there already"),
                    ("hf:lips", "hf:ORG/NAME")):  # fmt: skip
        assert why in refused("publish", [f"run={run.path}", f"to={to}"], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "models"]


def test_a_run_goes_to_the_hub_and_comes_back_pinned_also_when_the_hub_is_down(scored, hub, capsys):
    assert command("publish", [f"run={scored.path}", "to=somebody/lips"]) == 0
    assert "run=hf:somebody/lips" in capsys.readouterr().out
    [sha] = [name for name in hub.repositories["somebody/lips"] if name != "main"]
    stored = hub.repositories["somebody/lips"][sha]
    assert f"{hub.address}/somebody/lips/resolve/main/samples/a-0.wav" in stored["README.md"].decode()
    hub.commit("somebody/lips", stored | {"evil.py": b"raise SystemExit", "best/pytorch_model.bin": b"\x80\x04."})
    hub.repositories["somebody/lips"]["main"] |= {"samples/old.wav": b"", "notes.txt": b"mine"}
    command("publish", [f"run={scored.path}", "to=somebody/lips"])
    now = hub.repositories["somebody/lips"]["main"]
    assert "samples/old.wav" not in now and "samples/a-0.wav" in now and now["notes.txt"] == b"mine"
    capsys.readouterr()
    hub.asked.clear()
    folder = fetch_run("hf:somebody/lips")
    said = capsys.readouterr().err.strip()
    assert folder.name in said and len(said.splitlines()) == 1
    fetched = {path.split("/", 5)[5] for path in hub.asked if "/resolve/" in path}
    assert fetched == set(FILES) == {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert load_run(folder).step == 7
    assert fetch_run(f"hf:somebody/lips@{sha}").name == sha != folder.name
    hub.broken = True
    assert fetch_run("hf:somebody/lips") == folder and fetch_run(f"hf:somebody/lips@{sha}").name == sha
    hub.close()
    assert fetch_run("hf:somebody/lips") == folder


def test_what_everybody_can_read_takes_no_voices_unasked(scored, hub, capsys):
    before = hub.commit("somebody/open", {"notes.txt": b"mine"})
    said = refused("publish", [f"run={scored.path}", "to=somebody/open"], capsys)
    assert "everybody can read it; give private=false" in said
    assert set(hub.repositories["somebody/open"]) == {"main", before}
    assert command("publish", [f"run={scored.path}", "to=somebody/open", "private=false"]) == 0
    assert len(hub.repositories["somebody/open"]) == 3


def test_a_training_that_began_with_a_run_of_the_hub_goes_on_wherever_the_cache_lies(run, hub, tmp_path, monkeypatch):
    command("publish", [f"run={run.path}", "to=hf:somebody/lips"])
    [sha] = [name for name in hub.repositories["somebody/lips"] if name != "main"]
    begun, hashes = RunDirectory(tmp_path / "runs" / "n"), []
    for cache in ("here", "there"):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / cache))
        config, keys = compose("train", ["data=d", f"name=n-{cache}", "warm_start=hf:somebody/lips"])
        fetch_runs(config, keys)
        assert str(tmp_path / cache) in config.warm_start
        begun.check(config, CORPUS)
        if cache == "here":
            begun.open_for_training(config, CORPUS)
        hashes.append(config_hash(config))
    assert begun.config().warm_start == f"hf:somebody/lips@{sha}" and len(set(hashes)) == 1
    config.warm_start = config.warm_start.replace(sha, "b" * 40)
    with pytest.raises(UserError, match=f"warm_start \\(hf:somebody/lips@{sha} there, hf:somebody/lips@b"):
        begun.check(config, CORPUS)


def test_every_verb_that_takes_a_run_takes_it_from_the_hub(run, hub, capsys, tmp_path):
    command("publish", [f"run={run.path}", "to=hf:somebody/lips"])
    taken = {
        "evaluate": ["run", "syncnet"], "generate": ["run"], "dub": ["run"], "offsets": ["run"], "publish": ["run"],
        "train": ["warm_start"],
    }  # fmt: skip
    needed = {"dub": ["video=v", "audio=a", "out=o"], "generate": ["out=o"], "offsets": ["data=d"], "publish": ["to=t"],
              "train": ["data=d", "name=n"], "evaluate": []}  # fmt: skip
    for verb, names in taken.items():
        config, keys = compose(verb, [*(f"{name}=hf:somebody/lips" for name in names), *needed[verb]])
        fetch_runs(config, keys)
        assert all((Path(config[name]) / "config.yaml").is_file() for name in names)
    capsys.readouterr()
    assert command("evaluate", ["run=hf:somebody/lips", f"data={tmp_path}/none"]) == 2
    assert "corpus.json" in capsys.readouterr().err  # the run was there


def test_what_is_not_there_is_one_line(hub, run, capsys):
    command("publish", [f"run={run.path}", "to=hf:somebody/lips"])
    hub.commit("somebody/else", {"README.md": b"no run"})
    for address, why in (
        ("hf:somebody/lips@v9", "no revision v9"), ("hf:somebody/gone", "no such repository"),
        ("hf:somebody/else", "no run of slts"), ("hf:lips", "form hf:ORG/NAME"),
        ("hf:somebody/lips@../../x", "form hf:ORG/NAME"), ("hf:a--b/c..d", "form hf:ORG/NAME"),
    ):  # fmt: skip
        assert why in refused("evaluate", [f"run={address}"], capsys)
    with pytest.raises(UserError, match="no such repository"):
        offset_of(__file__, run="hf:somebody/gone")
    hub.broken = True
    assert "not in the cache" in refused("evaluate", ["run=hf:somebody/other"], capsys)
    assert "did not take it" in refused("publish", [f"run={run.path}", "to=hf:somebody/lips"], capsys)
    hub.close()
    assert "not in the cache" in refused("evaluate", ["run=hf:somebody/other"], capsys)


def test_no_file_names_a_run_of_the_hub(hub):
    config, keys = compose("evaluate", ["run=hf:somebody/lips"])
    with pytest.raises(TypeError):
        fetch_runs(OmegaConf.create(OmegaConf.to_container(config)), keys)
    with pytest.raises(UserError, match=r"holds no config\.yaml"):
        load_run("hf:somebody/lips")
    assert not hub.asked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/bob/my clips", "my clips"), ("~/runs/base", "base"), ("../bob/x", "x"), ("file:///home/bob/x", "x"),
        ("slts prepare root=/home/bob/grid out=data/grid", "slts prepare root=grid out=data/grid"),
        ("data/grid", "data/grid"), ("AWS_SECRET_KEY=hunter2 make data", "AWS_SECRET_KEY=*** make data"),
        ("16/9 and 1/2", "16/9 and 1/2"), ("https://u:p@h/x?key=1", "***"),
        ("pipe:ssh bob@h cat /x/{name}", "***"), ("see '/srv/a b/c'", "see 'a b/c'"),
        ("rsync -a bob@inner.example:/srv/grid data/grid", "rsync -a *** data/grid"),
        ("cannot read:/home/bob/x", "cannot read:x"), ("PATHS=/a/b:/home/bob/bin", "PATHS=b:bin"),
        ("/data/x --password hunter2", "x --password ***"), ("file:///srv/x?token=hunter2", "x?token=***"),
        (r"C:\Users\bob\my clips", "my clips"), (r"see \\inner\share\x and D:\y", "see x and y"),
        ("at 10:30, a:b", "at 10:30, a:b"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_text_for_others(text, left):
    assert for_others({"a": [text, 3, None]}) == {"a": [left, 3, None]}
