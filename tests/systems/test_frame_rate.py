"""Systems of one frame rate refuse data of others, where they are built and where they are given shards."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from slts.config import compose
from slts.errors import UserError
from slts.systems import build_task
from slts.systems.trained import TrainedRun
from slts.training.run_directory import RunDirectory

CORPUS = {"speakers": ["a"], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
AT_25 = ("svts_cpu", "vcagan_cpu", "wavegan_cpu", "av2a_wavegan_cpu", "lipsync_expert_cpu")
LEARNS_AT_25 = "wav2lip_cpu"
ANY = ("cpu", "syncnet_cpu", "matching")
FURTHER = {"av2a_wavegan_cpu": ["task.base=b"], "wav2lip_cpu": ["task.expert=e"]}


def config_of(experiment: str):
    return compose("train", ["data=x", "name=x", f"experiment={experiment}", *FURTHER.get(experiment, [])])[0]


@pytest.mark.parametrize("experiment", [*AT_25, LEARNS_AT_25])
def test_it_is_not_built_for_another_rate(experiment):
    config = config_of(experiment)
    with torch.device("meta"):
        for known in ({}, {"fps": []}, {"fps": [25.0]}):
            build_task(config, CORPUS | known)
        words = f"task={config.task.name} .* 25 video frames a second and the data has 30; .*slts prepare fps=25"
        with pytest.raises(UserError, match=words):
            build_task(config, CORPUS | {"fps": [25.0, 30.0]})


@pytest.mark.parametrize("experiment", ANY)
def test_others_are_built_for_any(experiment):
    with torch.device("meta"):
        assert build_task(config_of(experiment), CORPUS | {"fps": [24.0, 30.0]}).fps is None


@pytest.fixture(scope="module")
def at_30(tiny_corpus, tmp_path_factory) -> Path:
    data = Path(shutil.copytree(tiny_corpus, tmp_path_factory.mktemp("rate") / "data"))
    corpus = json.loads((data / "corpus.json").read_text())
    (data / "corpus.json").write_text(json.dumps(corpus | {"fps": [30.0]}))
    return data


def trained(experiment: str) -> TrainedRun:
    config = config_of(experiment)
    corpus = CORPUS | {"fps": [25.0], "synthesised": {"weights": "of its base"}}
    with torch.device("meta"):
        task = build_task(config, corpus)
    return TrainedRun(RunDirectory(Path("r")), config, corpus, task, 0, torch.device("meta"))


@pytest.mark.parametrize("experiment", AT_25)
def test_a_run_is_given_no_shards_of_another_rate(experiment, tiny_corpus, at_30):
    run = trained(experiment)
    assert len(run.dataset(tiny_corpus, "test", any_speaker=True))
    with pytest.raises(UserError, match=r"the data has 30; .*slts prepare fps=25"):
        run.dataset(at_30, "test", any_speaker=True)


@pytest.mark.parametrize("experiment", [LEARNS_AT_25, *ANY])
def test_runs_that_work_at_any_rate_are_given_them(experiment, at_30):
    assert len(trained(experiment).dataset(at_30, "test", any_speaker=True))
