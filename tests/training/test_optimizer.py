"""A task's critic is a group of its own: other settings, same optimiser, same checkpoint."""

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from slts.config import compose
from slts.training.checkpoint import load_optimizer, save_checkpoint
from slts.training.data_parallel import DataParallel
from slts.training.optimizer import build_optimizer
from slts.training.schedule import learning_rate
from slts.training.state import TrainingState


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.critic = nn.Linear(2, 1)
        self.late = nn.Linear(2, 2)


def optim(*overrides: str):
    return compose("train", ["data=x", "name=y", *overrides])[0].optim


def stepped(task: nn.Module, *overrides: str) -> DataParallel:
    optimisation = DataParallel(Accelerator(cpu=True), task, build_optimizer(task, optim(*overrides)))
    optimisation.step(sum((p * torch.randn_like(p)).sum() for p in task.parameters()), clip_norm=1.0)
    return optimisation


def test_the_critic_has_settings_of_its_own():
    task = Toy()
    first, second = build_optimizer(task, optim("optim.critic.learning_rate=0.25")).param_groups
    assert first["params"] == [*task.generator.parameters(), *task.late.parameters()]
    assert second["params"] == list(task.critic.parameters())
    assert (first["lr"], first["betas"]) == (5e-4, (0.9, 0.999))
    assert (second["lr"], second["betas"]) == (0.25, (0.5, 0.9))


def test_without_a_critic_there_is_one_group():
    for task in (nn.Linear(2, 2), Toy()):
        task.critic = None
        assert len(build_optimizer(task, optim()).param_groups) == 1


def test_a_checkpoint_holds_the_state_of_both_groups(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    task = Toy()
    optimisation = stepped(task)
    saved = save_checkpoint(
        tmp_path / "checkpoints", TrainingState(), task.state_dict(), optimisation.state(), [], keep=1
    )
    assert len(load_file(saved / "optimizer.safetensors")) == 3 * 6
    other = stepped(task)
    other.load(load_optimizer(saved, other.parameters))
    for name, value in optimisation.state().items():
        torch.testing.assert_close(other.state()[name], value, rtol=0, atol=0)


def test_adam_amsgrad_and_decoupling_are_settings():
    plain, adam = (build_optimizer(Toy(), optim(*o)) for o in ([], ["optim.decoupled=false", "optim.amsgrad=true"]))
    assert isinstance(plain, torch.optim.AdamW) and not isinstance(adam, torch.optim.AdamW)
    assert [group["amsgrad"] for group in plain.param_groups + adam.param_groups] == [False, False, True, True]


def test_amsgrad_is_saved_and_restored(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    task = Toy()
    optimisation = stepped(task, "optim.amsgrad=true")
    saved = save_checkpoint(
        tmp_path / "checkpoints", TrainingState(), task.state_dict(), optimisation.state(), [], keep=1
    )
    other = stepped(task, "optim.amsgrad=true")
    other.load(load_optimizer(saved, other.parameters))
    assert "0.max_exp_avg_sq" in other.state()
    for name, value in optimisation.state().items():
        torch.testing.assert_close(other.state()[name], value, rtol=0, atol=0)


def test_the_rate_stays_falls_or_drops():
    def rates(schedule: str) -> list[float]:
        return [learning_rate(step, 8, 1.0, 2, schedule, [4, 6]) for step in (0, 1, 2, 4, 5, 6)]

    assert rates("constant") == pytest.approx([0.5, 1, 1, 1, 1, 1])
    assert rates("steps") == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.01])
    assert rates("cosine") == pytest.approx([0.5, 1, 1, 0.75, 0.5, 0.25])
