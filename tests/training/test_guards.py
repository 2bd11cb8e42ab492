"""Signals, the watchdog, non-finite steps and the clips they are blamed on, the lock of a run's folder."""

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
from accelerate import Accelerator
from forked import FORKED, status
from torch import Tensor, nn

from slts.config import compose
from slts.errors import UserError
from slts.training.data_parallel import DataParallel
from slts.training.guards import (
    Interruption,
    RunningStatistics,
    Watchdog,
    clips_without_finite_gradient,
    nan_unless_finite,
)
from slts.training.optimizer import build_optimizer
from slts.training.run_directory import RunDirectory


@dataclass
class Clips:
    x: Tensor
    key: list[str]
    valid: Tensor | None = None

    def clip(self, index: int) -> "Clips":
        return Clips(self.x[index : index + 1], self.key[index : index + 1])


class Toy(nn.Module):
    """The mean square of a normalised linear map, and the square root of what follows it: no gradient at 0."""

    def __init__(self):
        super().__init__()
        self.map, self.norm, self.unused = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(2, 2)
        self.critic = None

    def forward(self, clips: Clips):
        root = clips.x[..., 0].mul(self.map.weight[0, 0]).sqrt().sum()
        return {"square": self.norm(self.map(clips.x.flatten(0, 1))).square().mean(), "root": root}, {}


def clips(**changed: Tensor) -> Clips:
    torch.manual_seed(0)
    x, key = torch.rand(4, 5, 3) + 0.1, ["a", "b", "c", "d"]
    for name, value in changed.items():
        x[key.index(name)] = value
    return Clips(x, key)


def toy() -> Toy:
    torch.manual_seed(1)
    task = Toy()
    nn.init.constant_(task.map.weight, 0.5)
    return task


def test_the_clip_without_a_finite_loss_or_gradient_is_named():
    task = toy()
    assert clips_without_finite_gradient(task, clips()) == []
    assert clips_without_finite_gradient(task, clips(c=torch.tensor(torch.nan))) == ["c"]
    # The root of 0 is finite, its slope is not.
    assert clips_without_finite_gradient(task, clips(b=torch.tensor(0.0), d=torch.tensor(torch.inf))) == ["b", "d"]


def test_blaming_leaves_gradients_and_running_statistics_alone():
    task = toy()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    clips_without_finite_gradient(task, clips(c=torch.tensor(torch.nan)))
    for name, value in task.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.grad is None for p in task.parameters())


def test_a_loss_that_is_not_finite_poisons_every_gradient():
    x = torch.ones(3, requires_grad=True)
    nan_unless_finite(x.sum()).backward()
    assert x.grad.tolist() == [1, 1, 1]
    x.grad = None
    nan_unless_finite((x * 0).sum() + torch.inf).backward()
    assert x.grad.isnan().all()


def test_a_step_without_finite_gradient_changes_nothing():
    task = toy()
    optim = compose("train", ["data=x", "name=y"])[0].optim
    optimisation = DataParallel(Accelerator(cpu=True), task, build_optimizer(task, optim))
    statistics = RunningStatistics(task)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    statistics.remember()
    norm = optimisation.step(sum(task(clips(c=torch.tensor(torch.nan)))[0].values()), 1.0)
    statistics.restore()
    assert not torch.isfinite(norm) and optimisation.state() == {}
    for name, value in task.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert torch.isfinite(optimisation.step(sum(task(clips())[0].values()), 1.0))
    assert not torch.equal(task.map.weight, before["map.weight"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_handler_put_back(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.signal is None
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert interruption.signal == number.name
    assert signal.getsignal(number) is before


def in_another_process(function, *arguments, context=FORKED) -> multiprocessing.Process:
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def hangs_after_a_while(log: Path) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
    with Watchdog(minutes=3 / 60) as watchdog:
        for _ in range(3):
            time.sleep(1.2)
            watchdog.feed()
        os.write(2, b"fed\n")
        time.sleep(600)


def test_the_watchdog_shows_where_a_process_hangs_and_ends_it(tmp_path):
    process = in_another_process(hangs_after_a_while, tmp_path / "log")
    assert status(process) == 1
    log = (tmp_path / "log").read_text()
    assert log.startswith("fed\nTimeout") and "in hangs_after_a_while" in log


def train_for_ever(path: Path) -> None:
    run = RunDirectory(path)
    run.open_for_training(compose("train", ["data=x", "name=y"])[0], {"name": "toy", "hash": "h"})
    # A loader process, which inherits whatever is open.
    in_another_process(time.sleep, 600, context=multiprocessing.get_context("fork"))
    (run.samples / "open").touch()
    time.sleep(600)


def test_a_run_has_one_trainer_at_a_time(tmp_path):
    config, _ = compose("train", ["data=x", "name=y"])
    run = RunDirectory(tmp_path / "run")
    other = in_another_process(train_for_ever, run.path)
    while other.is_alive() and not (run.samples / "open").exists():
        time.sleep(0.01)
    loaders = psutil.Process(other.pid).children()
    with pytest.raises(UserError, match=f"is being trained by process {other.pid} on .*name="):
        run.open_for_training(config, {"name": "toy", "hash": "h"})
    run.check(config, {"name": "toy", "hash": "h"})  # reading is allowed
    other.kill()
    other.join()
    run.open_for_training(config, {"name": "toy", "hash": "h"})
    for loader in loaders:
        loader.kill()
