"""A task's critic is a group of its own: other settings, same optimiser, same checkpoint."""

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from slts.config import compose
from slts.training.checkpoint import TrainingState, load_optimizer, save_checkpoint
from slts.training.data_parallel import DataParallel
from slts.training.optimizer import build_optimizer


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.critic = nn.Linear(2, 1)
        self.late = nn.Linear(2, 2)


def optim(*overrides: str):
    return compose("train", ["data=x", "name=y", *overrides])[0].optim


def stepped(task: nn.Module) -> DataParallel:
    optimisation = DataParallel(Accelerator(cpu=True), task, build_optimizer(task, optim()))
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
