"""What a user of Hydra and of shells tries first: --help, --cfg job, --info, --multirun, completion, slts config."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slts.cli import POSITIONAL, VERBS, run
from slts.commands.completion import script
from slts.config import compose
from slts.help import COMMON
from slts.schema import conf_dir, groups, options, schema
from slts.training.run_directory import RunDirectory, config_hash

SCREEN = 40
"""Lines; of 120 columns."""


def printed(capsys, verb: str, *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert run(verb, list(arguments)) == status
    out, err = capsys.readouterr()
    assert status == 0 or len(err.strip().splitlines()) == 1
    return err if status else out


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_fits_a_screen_and_all_of_it_has_every_key(verb, capsys):
    short, full = printed(capsys, verb, "--help"), printed(capsys, verb, "--help", "all")
    assert len(short.splitlines()) <= SCREEN and max(map(len, short.splitlines())) <= 120
    assert verb in COMMON or short == full
    choices = {group: option for group, option in _chosen(verb).items() if option}
    for name, key in schema(verb, choices).items():
        assert f"\n  {name}=" in full
        assert "".join(key.sentence.split()) in "".join(full.split())


def _chosen(verb: str) -> dict[str, str]:
    """Options of groups by the head of a verb's file."""
    defaults = yaml.safe_load((conf_dir() / f"{verb}.yaml").read_text()).get("defaults", [])
    return {group: option for one in defaults if isinstance(one, dict) for group, option in one.items()}


def test_common_keys_are_keys():
    every = {verb: set(schema(verb, _chosen(verb))) for verb in COMMON}
    for task in options("task"):
        every["train"] |= set(schema("train", {"task": task}))
    assert all(set(names) <= every[verb] for verb, names in COMMON.items())


def test_the_help_of_a_task_shows_its_keys(capsys):
    assert "task.expert=null" in printed(capsys, "train", "--help", "task=wav2lip")


def test_cfg_job_prints_the_composed_config_also_where_a_key_is_missing(capsys):
    given = ["experiment=cpu", "seed=3", "name=y"]
    shown = yaml.safe_load(printed(capsys, "train", *given, "--cfg", "job"))
    assert shown["seed"] == 3 and shown["data"] == "???" and shown["model"]["name"] == "small"
    config, _ = compose("train", [*given, "data=x"])
    assert yaml.safe_load(printed(capsys, "train", "--cfg=job", *given, "data=x")) == config
    assert "seed=x" in printed(capsys, "train", "--cfg", "job", "seed=x", status=2)
    assert "--cfg job" in printed(capsys, "train", "--cfg", "hydra", status=2)


def test_info_is_short(capsys):
    lines = printed(capsys, "train", "--info", "task=syncnet").splitlines()
    assert len(lines) < 10 and any("task=syncnet" in line for line in lines) and any("torch" in line for line in lines)


def test_multirun_is_refused_with_the_sweep_that_does_it(capsys, tmp_path):
    said = printed(capsys, "train", "-m", "seed=1,2", "data=d", "name=n", "optim.betas=[0.8,0.9]", status=2)
    assert "slts sweep study=FILE.yaml data=d overrides='[\"optim.betas=[0.8,0.9]\"]'" in said
    assert "seed: {choices: [1,2]}" in said and "name=" not in said
    (tmp_path / "FILE.yaml").write_text("space:\n  seed: {choices: [1,2]}\n")  # as it says
    compose("sweep", [f"study={tmp_path}/FILE.yaml", "data=d", 'overrides=["optim.betas=[0.8,0.9]"]'])
    assert "loop" in printed(capsys, "evaluate", "--multirun", status=2)


def complete(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    asked = (
        f"{script('bash')}\nCOMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _slts; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_verbs_keys_values_and_files(tmp_path):
    assert complete("slts ") == sorted(VERBS)
    assert complete("slts tra") == ["train"]
    assert complete("slts train data=x vari") == ["variant="]
    assert complete("slts train variant=no") == ["no_asm", "no_stop_gradient"]
    assert set(groups()) - {"corpus", "tracks"} <= {word.removesuffix("=") for word in complete("slts train ")}
    assert complete("slts offsets json=") == ["true", "false"]
    assert complete("slts evaluate split=t") == ["train", "test"]
    (tmp_path / "mine").mkdir()
    assert complete(f"slts evaluate run={tmp_path}/mi") == [f"{tmp_path}/mine"]
    assert complete("slts nosuch x") == []


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_takes_the_script(tmp_path):
    (tmp_path / "_slts").write_text(script("zsh"))
    subprocess.run(["zsh", "-n", str(tmp_path / "_slts")], check=True)


def test_the_scripts_are_printed(capsys):
    assert printed(capsys, "completion", "bash") == script("bash")
    assert printed(capsys, "completion", "shell=zsh") == script("zsh")
    assert "bash | zsh" in printed(capsys, "completion", "fish", status=2)
    assert set(POSITIONAL) <= set(VERBS)


def test_config_prints_what_a_run_was_without_what_lets_in(tmp_path, capsys):
    config, _ = compose("train", ["data=x", "name=r", f"runs={tmp_path}", "experiment=cpu"])
    config.data = "https://me:hunter2@host/data"
    corpus = {"name": "films", "hash": "abc", "speakers": []}
    RunDirectory(tmp_path / "r").open_for_training(config, corpus)
    (tmp_path / "r" / "results.jsonl").write_text(
        json.dumps({"split": "test", "protocol": "tts", "a_stoi": 0.5}) + "\n"
    )
    shown = printed(capsys, "config", str(tmp_path / "r"))
    recorded = RunDirectory(tmp_path / "r").config()
    assert (
        f"configuration {config_hash(recorded)}, corpus films abc" in shown
        and "split test, protocol tts, a_stoi 0.5" in shown
    )
    assert yaml.safe_load(shown)["model"] == config.model and "hunter2" not in shown
    assert printed(capsys, "config", f"run={tmp_path}/r") == shown
    assert "no config.yaml" in printed(capsys, "config", str(Path(tmp_path, "none")), status=2)


def test_output_that_nobody_reads_on_is_no_fault():
    line = f"{sys.executable} -m slts.cli train --help all | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
