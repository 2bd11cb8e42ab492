"""AV2A through the real commands: base, spoken corpus, training, resuming, several processes, evaluation, raw video."""

import contextlib
import csv
import io
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from conftest import slts
from ranks import TINY, Ranks, differences
from safetensors.torch import load_file

from slts.cli import run
from slts.config import compose
from slts.data.batch import collate
from slts.data.shards import read_corpus_json, read_shard
from slts.errors import UserError
from slts.systems import begin_task, build_task
from slts.systems.trained import load_run

pytestmark = pytest.mark.long

OURS = ("task=av2a", "task.audio_widths=[16,16,16,16]", "steps=6", "validate_every=2", "keep_checkpoints=3")


def command(*arguments: object) -> tuple[int, str]:
    """``slts ...`` in this process: its exit status, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run(str(arguments[0]), [str(argument) for argument in arguments[1:]])
    return status, said.getvalue()


@pytest.fixture(scope="module")
def place(tiny_corpus, tmp_path_factory) -> Path:
    """Where a base was trained (runs/base) and has spoken the tiny corpus (spoken)."""
    folder = tmp_path_factory.mktemp("av2a")
    keys = f"data={tiny_corpus}", f"runs={folder}/runs", "name=base", "steps=2", "validate_every=2"
    Ranks(1, folder / "base.log", *keys).finish()
    status, said = command("generate", f"run={folder}/runs/base", f"data={tiny_corpus}", f"out={folder}/spoken")
    assert status == 0, said
    return folder


def train(place: Path, name: str, *keys: str, processes: int = 1) -> Path:
    where = f"data={place}/spoken", f"runs={place}/runs", f"name={name}", f"task.base={place}/runs/base"
    Ranks(processes, place / f"{name}.log", *OURS, *where, *keys).finish()
    return place / "runs" / name


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """After six steps of which the base, moved away since, was needed for none but the first."""
    trained = train(place, "av2a")
    resumed = place / "runs" / "resumed"
    shutil.copytree(trained, resumed, symlinks=True)
    shutil.rmtree(resumed / "checkpoints" / "step-00000006")
    for link in ("best", "last"):
        (resumed / link).unlink()
        (resumed / link).symlink_to("checkpoints/step-00000004")
    return trained


@contextlib.contextmanager
def base_moved(place: Path):
    (place / "runs" / "base").rename(place / "elsewhere")
    try:
        yield
    finally:
        (place / "elsewhere").rename(place / "runs" / "base")


def test_a_resumed_run_ends_in_the_same_weights_without_its_base(place, trained):
    with base_moved(place):
        resumed = train(place, "resumed")
    assert (resumed / "last").resolve().name == "step-00000006"
    assert differences(trained, resumed) == []


def test_the_base_is_a_part_of_the_run_and_is_not_trained(place, trained):
    base, own = (load_file(folder / "last" / "model.safetensors") for folder in (place / "runs" / "base", trained))
    assert all(torch.equal(value, own[f"base.{name}"]) for name, value in base.items())
    assert not torch.equal(base["decoder.project.weight"], own["decoder.project.weight"])
    assert own["audio_encoder.project.weight"].any()
    told = json.loads((trained / "corpus.json").read_text())["synthesised"]
    assert told["run"] == "base" and len(told["weights"]) == 64


def test_two_processes_take_fifty_steps_of_dropout(place):
    """Each rank draws its own inputs: a network that one of them skipped would hang both, or raise."""
    two = train(place, "two", "task.procedure=dropout", "steps=50", "validate_every=50", processes=2)
    rows = [json.loads(line) for line in (two / "metrics.jsonl").read_text().splitlines()]
    taken = {row["step"]: row["value"] for row in rows if row["name"] == "loss/total"}
    assert len(taken) == 50 and all(math.isfinite(value) for value in taken.values())
    assert not any(row["value"] for row in rows if row["name"] == "train/skipped")
    generators = [load_file(file) for file in sorted((two / "last").glob("rng-*.safetensors"))]
    assert len(generators) == 2
    assert any(not torch.equal(generators[0][name], generators[1][name]) for name in generators[0])
    kept, base = (load_file(at / "last" / "model.safetensors") for at in (two, place / "runs" / "base"))
    assert all(value.isfinite().all() for value in kept.values())
    means = [name for name in kept if name.startswith("statistics.") and name.endswith("running_mean")]
    # Rank 0 has drawn all three in fifty steps, and each set has gone its own way.
    assert means and all(
        not torch.equal(kept[f"{name.replace('.a_', '.av_')}"], kept[name])
        for name in means
        if name.startswith("statistics.a_")
    )
    assert not torch.equal(kept["decoder.postnet.1.running_mean"], base["decoder.postnet.1.running_mean"])


@pytest.mark.parametrize("modalities", [None, "a", "v"])
def test_evaluation_of_both_and_of_either(modalities, trained):
    chosen = [f"modalities={modalities}"] if modalities else []
    status, said = command("evaluate", f"run={trained}", "workers=1", "show=1", *chosen)
    assert status == 0, said
    row = json.loads((trained / "results.jsonl").read_text().splitlines()[-1])
    assert (row["task"], row["modalities"]) == ("av2a", modalities or "av") and row["a_stoi"] is not None
    ending = f"-{modalities}" if modalities else ""
    with (trained / f"clips-test{ending}.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == row["clips"]
    assert list((trained / "samples" / f"test{ending}").glob("*.wav"))


def test_a_system_with_one_input_has_no_choice(place):
    status, said = command("evaluate", f"run={place}/runs/base", "modalities=a")
    assert status == 2 and "needs choice of modalities" in said and "task=av2a" in said and len(said.splitlines()) == 1


def test_a_raw_video_is_spoken_in_one_command_without_the_base(place, trained, tiny_corpus, tmp_path):
    sample = next(read_shard(tiny_corpus / "test-000000.tar"))
    (tmp_path / "clip.mp4").write_bytes(sample["mp4"])
    given = f"run={trained}", f"input={tmp_path}/clip.mp4", "faces=none", f"speaker={sample['json']['speaker']}"
    with base_moved(place):
        status, said = command("generate", *given, f"out={tmp_path}/out")
    assert status == 0 and {path.name for path in (tmp_path / "out").iterdir()} == {"clip.mp4", "clip.wav"}, said


def test_a_corpus_that_another_spoke_or_nobody_is_spoken_on_the_way(place, trained, tiny_corpus):
    av2a = load_run(trained)
    kept, made = av2a.dataset(place / "spoken", "test"), av2a.dataset(tiny_corpus, "test")
    assert (kept.sounds, made.sounds) == (("synth",), ())
    clips = [collate([dataset[0, 0]]) for dataset in (kept, made)]
    with torch.no_grad():
        one, other = (av2a.task.reconstruct(clip, 100)[1] for clip in clips)
    torch.testing.assert_close(one, other, atol=0.05, rtol=0)


def test_what_another_said_is_heard_where_it_is_asked_for(place, trained, tiny_corpus, tmp_path):
    again = tmp_path / "again"
    status, said = command("generate", f"run={trained}", f"data={tiny_corpus}", f"out={again}")
    assert status == 0, said
    figures = {}
    for heard in ("base", "data"):
        status, said = command("evaluate", f"run={trained}", f"data={again}", f"heard={heard}", "workers=1", "show=1")
        assert status == 0 and ("heard=data hears that run" in said) == (heard == "base"), said
        row = json.loads((trained / "results.jsonl").read_text().splitlines()[-1])
        figures[heard] = row["heard"], [row[name] for name in ("stoi", "estoi", "pesq")]
    assert [figures[heard][0] for heard in figures] == ["base", "data"] and figures["base"][1] != figures["data"][1]
    assert (trained / "clips-test-heard.csv").exists() and (trained / "samples" / "test-heard").is_dir()


def test_speech_that_is_not_there_cannot_be_heard(trained, place, tiny_corpus):
    status, said = command("evaluate", f"run={trained}", f"data={tiny_corpus}", "heard=data")
    assert status == 2 and "clips without KEY.synth.flac" in said and len(said.splitlines()) == 1
    status, said = command("evaluate", f"run={place}/runs/base", f"data={place}/spoken", "heard=data")
    assert status == 2 and "heard=data needs choice of modalities" in said and len(said.splitlines()) == 1


def begin(place: Path, corpus: dict, *keys: str) -> None:
    where = f"data={place}/spoken", "name=x", f"task.base={place}/runs/base"
    config, _ = compose("train", [*TINY, *OURS, *where, *keys])
    begin_task(build_task(config, corpus), config, corpus)


@pytest.mark.parametrize(
    ("facts", "keys", "words"),
    [
        ({"mel": {"mean": [0.0] * 80, "std": [1.0] * 80}}, [], "a corpus of another mel than"),
        ({"fps": [30.0]}, [], "a corpus of another fps than"),
        ({"speakers": ["x"]}, [], "a corpus of another speakers than"),
        ({"synthesised": {"weights": "0"}}, [], "is not as it was when it spoke"),
        ({}, ["model.width=64"], "has other networks"),
        ({}, ["variant=anchored"], r"has other networks \(probe.*variant=paper"),
        ({}, ["task.base=nowhere"], "run=nowhere holds no config.yaml"),
    ],
)
def test_a_base_that_does_not_fit_is_one_line(facts, keys, words, place):
    corpus = read_corpus_json(place / "spoken") | facts
    with pytest.raises(UserError, match=words) as caught:
        begin(place, corpus, *keys)
    assert "\n" not in str(caught.value)


def test_a_base_that_was_trained_on_since_is_refused(place, tmp_path):
    shutil.copytree(place / "runs" / "base", tmp_path / "base", symlinks=True)
    file = tmp_path / "base" / "best" / "model.safetensors"
    before = load_file(file)
    before["decoder.project.bias"] += 1
    from safetensors.torch import save_file

    save_file(before, file)
    state = json.loads((file.parent / "state.json").read_text()) | {"sha256": {}}
    (file.parent / "state.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match="is not as it was when it spoke"):
        begin(place, read_corpus_json(place / "spoken"), f"task.base={tmp_path}/base")


def test_an_av2a_is_no_base(place, trained):
    with pytest.raises(UserError, match=r"is of task=av2a; give a run of task=slts"):
        begin(place, read_corpus_json(place / "spoken"), f"task.base={trained}")


def test_a_corpus_that_nobody_spoke_is_refused_with_the_command(place, tiny_corpus):
    base = place / "runs" / "base"
    keys = [*TINY, *OURS, f"data={tiny_corpus}", f"runs={place}/none", "name=x", f"task.base={base}"]
    done = slts("train", *keys, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert f"slts generate run={base} data={tiny_corpus} out=" in done.stderr
    assert not (place / "none").exists()
