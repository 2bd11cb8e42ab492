"""Checkpoints are whole or absent, the best is kept, and everything comes back as it was."""

import json
import random
import resource
import shutil
import signal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from slts.config import compose
from slts.errors import UserError
from slts.training import checkpoint
from slts.training.checkpoint import (
    last_checkpoint,
    load_optimizer,
    load_weights,
    save_checkpoint,
    warm_start,
)
from slts.training.data_parallel import DataParallel
from slts.training.optimizer import build_optimizer
from slts.training.rng import restore_rng, rng_aside, rng_state
from slts.training.schedule import learning_rate
from slts.training.state import TrainingState, load_state


def trained(steps: int = 3) -> tuple[torch.nn.Module, DataParallel]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    model.critic = None
    optim = compose("train", ["data=x", "name=y"])[0].optim
    optimisation = DataParallel(Accelerator(cpu=True), model, build_optimizer(model, optim))
    for _ in range(steps):
        optimisation.step(model(torch.randn(5, 4)).square().sum(), clip_norm=1.0)
    return model, optimisation


def save(run, model, optimisation, **state):
    (run / "checkpoints").mkdir(exist_ok=True)
    return save_checkpoint(
        run / "checkpoints", TrainingState(**state), model.state_dict(), optimisation.state(), [rng_state()], 2
    )


def draws() -> list[float]:
    return [random.random(), random.gauss(), np.random.rand(), torch.rand(1).item()]


def test_everything_comes_back(tmp_path):
    model, optimisation = trained()
    random.gauss()  # Python keeps the second of each pair of Gaussian numbers for the next call
    path = save(tmp_path, model, optimisation, step=3, samples=15, best_score=0.5, best_step=3)
    expected = draws()
    fresh, fresh_optimisation = trained(steps=0)
    load_weights(path, fresh)
    fresh_optimisation.load(load_optimizer(path, fresh_optimisation.parameters))
    restore_rng(path, 0)
    assert draws() == expected
    assert load_state(path) == TrainingState(3, 15, 0.5, 3)
    for a, b in zip(model.state_dict().values(), fresh.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert len(optimisation.state()) == 4 * 3
    for name, value in optimisation.state().items():
        torch.testing.assert_close(value, fresh_optimisation.state()[name], rtol=0, atol=0)


def test_what_is_drawn_aside_changes_nothing():
    state = rng_state()
    expected = draws()
    for name, value in state.items():
        assert value.dtype != torch.bool, name
    random.seed(1)
    with rng_aside():
        before = draws()
    assert draws() == before != expected


def test_the_newest_and_the_best_are_kept(tmp_path):
    model, optimisation = trained()
    for step in range(1, 6):
        save(tmp_path, model, optimisation, step=step, best_score=1.0, best_step=min(step, 2))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
    assert (tmp_path / "best").resolve().name == "step-00000002"
    assert (tmp_path / "last").resolve().name == "step-00000005"


class Killed(BaseException):
    pass


def save_killed_at(call: int, monkeypatch, *arguments, **state) -> bool:
    """Saves, dying before the call-th operation that changes the disk. Returns whether it got to the end."""
    left = [call]

    def counted(function):
        def wrapper(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **kwargs)

        return wrapper

    with monkeypatch.context() as patch:
        for owner, name in (
            (checkpoint, "save_file"),
            (checkpoint.os, "rename"),
            (checkpoint.os, "replace"),
            (checkpoint.shutil, "rmtree"),
            (checkpoint.Path, "mkdir"),
            (checkpoint.Path, "write_text"),
            (checkpoint.Path, "symlink_to"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        try:
            save(*arguments, **state)
        except Killed:
            return False
    return True


def test_a_save_killed_at_any_instant_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    model, optimisation = trained()
    for call in range(100):
        run = tmp_path / str(call)
        run.mkdir()
        for step in (1, 2):
            save(run, model, optimisation, step=step, best_score=1.0, best_step=1)
        ended = save_killed_at(call, monkeypatch, run, model, optimisation, step=3, best_score=2.0, best_step=3)
        assert last_checkpoint(run).name in (["step-00000003"] if ended else ["step-00000002", "step-00000003"])
        assert (run / "best" / "state.json").exists()
        for folder in (run / "checkpoints").glob("step-*"):
            assert checkpoint._damage(folder) is None, f"{folder.name} after call {call}"
        save(run, model, optimisation, step=3, best_score=2.0, best_step=3)
        names = sorted(p.name for p in (run / "checkpoints").iterdir())
        assert names == ["step-00000002", "step-00000003"] and (run / "best").resolve().name == "step-00000003"
        if ended:
            break
    assert 10 < call < 50


def test_a_full_disk_keeps_the_previous_checkpoint_and_says_so(tmp_path):
    model, optimisation = trained()
    save(tmp_path, model, optimisation, step=1, best_step=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UserError, match=r"step-00000002 cannot be written .*continues from step-00000001"):
            save(tmp_path, model, optimisation, step=2, best_step=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert last_checkpoint(tmp_path).name == "step-00000001"
    assert load_file(tmp_path / "last" / "model.safetensors")


def test_a_damaged_checkpoint_is_refused_and_the_whole_one_before_named(tmp_path):
    model, optimisation = trained()
    for step in (1, 2):
        path = save(tmp_path, model, optimisation, step=step, best_step=step)
    weights = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(weights[:-7])
    words = f"model.safetensors has {len(weights) - 7} of {len(weights)} bytes.*continues from step-00000001"
    with pytest.raises(UserError, match=words):
        last_checkpoint(tmp_path)
    (path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        last_checkpoint(tmp_path)
    (path / "state.json").write_text("[]")
    with pytest.raises(UserError, match=r"state\.json is not of slts train"):
        last_checkpoint(tmp_path)
    shutil.rmtree(path)
    assert last_checkpoint(tmp_path).name == "step-00000001"


def test_a_flipped_bit_is_refused_by_its_hash(tmp_path):
    model, optimisation = trained()
    for step in (1, 2):
        path = save(tmp_path, model, optimisation, step=step, best_step=step)
    for name in ("model.safetensors", "optimizer.safetensors", "rng-00000.safetensors"):
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[:-3] + bytes([whole[-3] ^ 64]) + whole[-2:])
        with pytest.raises(UserError, match=f"SHA-256 of {name} is not that of state.*continues from step-00000001"):
            last_checkpoint(tmp_path)
        if name == "model.safetensors":
            with pytest.raises(UserError, match=r"model\.safetensors cannot be read \(the SHA-256"):
                load_weights(path, model)
        (path / name).write_bytes(whole)
    assert last_checkpoint(tmp_path) == path


def test_a_checkpoint_without_hashes_loads_unless_a_weight_is_not_finite(tmp_path):
    model, optimisation = trained()
    path = save(tmp_path, model, optimisation, step=1, best_step=1)
    state = json.loads((path / "state.json").read_text())
    del state["sha256"]  # as before there were hashes
    (path / "state.json").write_text(json.dumps(state))
    assert last_checkpoint(tmp_path) == path
    load_weights(path, model)
    weights = load_file(path / "model.safetensors")
    weights["0.bias"][1] = float("nan")
    save_file(weights, path / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors: 0\.bias is not finite") as caught:
        load_weights(path, model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"step": "7"}, {"step": -1}, {"step": True}, {"samples": None}, {"best_score": "x"}, {"best_step": 1.5},
        {"tracking_id": ["a"]}, {"files": None},
        {"files": {"../../etc/passwd": 1}}, {"sha256": {"model.safetensors": 1}},
    ],
)  # fmt: skip
def test_a_strange_state_is_one_line(tmp_path, changed):
    path = save(tmp_path, *trained(), step=1, best_step=1)
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(state | changed))
    with pytest.raises(UserError, match=r"state\.json is not of slts train"):
        last_checkpoint(tmp_path)
    with pytest.raises(UserError, match=r"state\.json is not of slts train") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_link_out_of_the_run_never_asks_to_delete_its_target(tmp_path, name):
    run, elsewhere = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    elsewhere.mkdir()
    save(run, *trained(), step=1, best_step=1)
    for target in (elsewhere, run, run / "checkpoints"):
        (run / name).unlink()
        (run / name).symlink_to(target)
        with pytest.raises(UserError, match="no checkpoint of this run; remove this link, not its target") as caught:
            last_checkpoint(run) if name == "last" else warm_start(run, torch.nn.Linear(2, 2))
        assert "delete" not in str(caught.value)


def test_a_checkpoint_of_another_model_is_refused_by_name(tmp_path):
    model, optimisation = trained()
    path = save(tmp_path, model, optimisation, step=1, best_step=1)
    with pytest.raises(UserError, match="another model"):
        load_weights(path, torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="another model"):
        load_optimizer(path, [torch.zeros(3, 4)])
    (path / "model.safetensors").write_bytes(b"\x08" + bytes(20))
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        load_weights(path, model)


def test_the_state_is_readable_json(tmp_path):
    path = save(tmp_path, *trained(), step=1, best_step=1)
    state = json.loads((path / "state.json").read_text())
    assert state["step"] == 1 and set(state["files"]) == {p.name for p in path.iterdir()} - {"state.json"}


def test_learning_rate_warms_up_and_decays():
    # Section 4.4: linear to the highest over the warm-up, cosine to 0.
    assert learning_rate(0, 100, 1.0, 10) == pytest.approx(0.1)
    assert learning_rate(9, 100, 1.0, 10) == pytest.approx(1.0)
    assert learning_rate(10, 100, 1.0, 10) == pytest.approx(1.0)
    assert learning_rate(55, 100, 1.0, 10) == pytest.approx(0.5)
    assert learning_rate(100, 100, 1.0, 10) == pytest.approx(0.0)
    assert learning_rate(0, 10, 1.0, 0) == pytest.approx(1.0)
