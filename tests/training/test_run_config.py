"""What somebody else's config.yaml may hold: nothing that slts train would not take."""

import os

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from slts.config import compose
from slts.errors import UserError
from slts.systems import build_task
from slts.systems.trained import load_run
from slts.training.run_config import LARGEST, read_run_config
from slts.training.run_directory import RunDirectory

CORPUS = {"name": "x", "hash": "0", "splits": {}, "speakers": ["a"], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
TINY = ["experiment=cpu", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """A run with weights, as it was at its start."""
    runs = tmp_path_factory.mktemp("runs")
    config, _ = compose("train", ["data=x", "name=r", f"runs={runs}", *TINY])
    directory = RunDirectory(runs / "r")
    directory.open_for_training(config, CORPUS)
    (directory.path / "best").mkdir()
    save_file(build_task(config, CORPUS).state_dict(), directory.path / "best" / "model.safetensors")
    (directory.path / "best" / "state.json").write_text('{"step": 1, "samples": 4, "files": {}}')
    return directory


@pytest.fixture
def own(run):
    """Its config.yaml, put back afterwards."""
    file = run.path / "config.yaml"
    kept = file.read_bytes()
    yield file
    file.unlink()
    file.write_bytes(kept)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.width", "abc"), ("model.width", -1), ("model.layers", float("nan")), ("model.layers", 10**9),
        ("model.frame_width", []), ("model.frame_blocks", [1, 1, 1, 10**9]), ("model.image_size", 10**9),
        ("task.radius", 10**9), ("task.soft_source", "x"), ("task.loss", 3), ("vocoder.iterations", None),
        ("augment.crop", "a"), ("augment", "a"), ("batch_size", 0), ("seed", "x"), ("optim.learning_rate", -1),
        ("tracking.mode", "x"), ("name", "../x"), ("data", None), ("variant", [1]), ("task.name", "../../x"),
        ("model.name", "nosuch"), ("tracking.project", "${oc.env:HOME}"),
    ],
)  # fmt: skip
def test_a_value_that_slts_train_would_not_take_is_named_with_its_file(run, own, key, value):
    config = OmegaConf.load(own)
    OmegaConf.update(config, key, value, merge=False)
    OmegaConf.save(config, own)
    with pytest.raises(UserError, match=r"config\.yaml is no config\.yaml of slts train") as refused:
        load_run(run.path)
    assert key in str(refused.value) and "\n" not in str(refused.value)


def test_what_slts_train_wrote_is_read_as_it_was(run):
    config, _ = compose("train", ["data=x", "name=r", f"runs={run.path.parent}", *TINY])
    read = OmegaConf.to_container(read_run_config(run.path / "config.yaml"))
    assert read.pop("data_from") == os.getcwd() and read == OmegaConf.to_container(config)
    assert load_run(run.path).step == 1


@pytest.mark.parametrize("experiment", sorted(["cpu", "vcagan", "vcagan_original", "syncnet", "lip2wav_chess"]))
def test_every_system_is_read_back(tmp_path, experiment):
    config, _ = compose("train", ["data=x", "name=r", f"runs={tmp_path}", f"experiment={experiment}"])
    RunDirectory(tmp_path / "r").open_for_training(config, CORPUS)
    assert RunDirectory(tmp_path / "r").config().task == config.task


def test_a_network_that_the_weights_are_not_of_takes_no_memory(run, own, monkeypatch):
    config = OmegaConf.load(own)
    config.model.width, config.model.layers = 8192, 256  # 240 GB
    OmegaConf.save(config, own)
    devices = []
    build = build_task
    monkeypatch.setattr(
        "slts.systems.trained.build_task", lambda *given: devices.append(torch.get_default_device()) or build(*given)
    )
    with pytest.raises(UserError, match=r"holds weights of another model: .*restore config\.yaml"):
        load_run(run.path)
    assert [device.type for device in devices] == ["meta"]


def test_a_pipe_and_a_giant_are_not_read(run, own):
    own.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(UserError, match=rf"{LARGEST + 1} bytes, at most"):
        run.config()
    own.unlink()
    os.mkfifo(own)
    with pytest.raises(UserError, match="not a plain file"):
        run.config()


def test_a_key_of_another_time_is_no_fault(run, own):
    config = OmegaConf.load(own)
    OmegaConf.update(config, "bygone", 5, force_add=True)
    del config.window_shards
    OmegaConf.save(config, own)
    assert load_run(run.path).step == 1
    del config.augment
    OmegaConf.save(config, own)
    with pytest.raises(UserError, match=r"has no augment\.crop, so another version"):
        load_run(run.path)
