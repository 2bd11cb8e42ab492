"""Checkpoints are whole or absent, the best is kept, and everything comes back as it was."""

import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from slts.errors import UserError
from slts.training import checkpoint
from slts.training.checkpoint import (
    TrainingState,
    load_optimizer,
    load_state,
    load_weights,
    restore_rng,
    rng_state,
    save_checkpoint,
)
from slts.training.schedule import learning_rate


def trained(steps: int = 3):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(steps):
        model(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def save(folder, model, optimizer, **state):
    folder.mkdir(exist_ok=True)
    return save_checkpoint(folder, TrainingState(**state), model.state_dict(), optimizer.state_dict(), [rng_state()], 2)


def test_everything_comes_back(tmp_path):
    model, optimizer = trained()
    path = save(tmp_path / "checkpoints", model, optimizer, step=3, samples=15, best_score=0.5, best_step=3)
    expected = [random.random(), np.random.rand(), torch.rand(1).item()]
    fresh, fresh_optimizer = trained(steps=0)
    load_weights(path, fresh)
    load_optimizer(path, fresh_optimizer)
    restore_rng(path, 0)
    assert [random.random(), np.random.rand(), torch.rand(1).item()] == expected
    assert load_state(path) == TrainingState(3, 15, 0.5, 3)
    for a, b in zip(model.state_dict().values(), fresh.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for slot, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            torch.testing.assert_close(value, fresh_optimizer.state_dict()["state"][slot][name], rtol=0, atol=0)


def test_the_newest_and_the_best_are_kept(tmp_path):
    model, optimizer = trained()
    for step in range(1, 6):
        save(tmp_path / "checkpoints", model, optimizer, step=step, best_score=1.0, best_step=min(step, 2))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
    assert (tmp_path / "best").resolve().name == "step-00000002"
    assert (tmp_path / "last").resolve().name == "step-00000005"


def test_a_failed_save_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    model, optimizer = trained()
    save(tmp_path / "checkpoints", model, optimizer, step=1, best_step=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path / "checkpoints", model, optimizer, step=2, best_step=1)
    assert (tmp_path / "last").resolve().name == "step-00000001"
    assert not (tmp_path / "checkpoints" / "step-00000002").exists()
    assert load_file(tmp_path / "last" / "model.safetensors")


def test_a_damaged_or_foreign_checkpoint_is_refused_by_name(tmp_path):
    model, optimizer = trained()
    path = save(tmp_path / "checkpoints", model, optimizer, step=1, best_step=1)
    with pytest.raises(UserError, match="another model"):
        load_weights(path, torch.nn.Linear(2, 2))
    (path / "model.safetensors").write_bytes(b"\x08" + bytes(20))
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        load_weights(path, model)


def test_learning_rate_warms_up_and_decays():
    # Section 4.4: linear to the highest over the warm-up, cosine to 0.
    assert learning_rate(0, 100, 1.0, 10) == pytest.approx(0.1)
    assert learning_rate(9, 100, 1.0, 10) == pytest.approx(1.0)
    assert learning_rate(10, 100, 1.0, 10) == pytest.approx(1.0)
    assert learning_rate(55, 100, 1.0, 10) == pytest.approx(0.5)
    assert learning_rate(100, 100, 1.0, 10) == pytest.approx(0.0)
    assert learning_rate(0, 10, 1.0, 0) == pytest.approx(1.0)
