"""Signals, the watchdog, non-finite steps and the clips they are blamed on, the lock of a run's folder."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import torch
from accelerate import Accelerator
from conftest import ROOT
from torch import Tensor, nn

from slts.config import compose
from slts.errors import UserError
from slts.training.data_parallel import DataParallel
from slts.training.guards import (
    Interruption,
    RunningStatistics,
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


class Toy(nn.Module):
    """The mean square of a normalised linear map, and the square root of what follows it: no gradient at 0."""

    def __init__(self):
        super().__init__()
        self.map, self.norm, self.unused = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(2, 2)

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


def test_the_watchdog_shows_where_a_process_hangs_and_ends_it():
    code = (
        "import sys, time; sys.path.insert(0, '.'); from slts.training.guards import Watchdog\n"
        "def hangs(): time.sleep(600)\n"
        "with Watchdog(2 / 60) as watchdog:\n"
        "    for _ in range(4): time.sleep(0.6); watchdog.feed()\n"
        "    print('fed', flush=True); hangs()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "fed" in done.stdout
    assert "Timeout" in done.stderr and "in hangs" in done.stderr


def test_a_run_has_one_trainer_at_a_time(tmp_path):
    config, _ = compose("train", ["data=x", "name=y"])
    corpus = {"hash": "h"}
    run = RunDirectory(tmp_path / "run")
    code = (
        "import sys; from slts.config import compose; from slts.training.run_directory import RunDirectory\n"
        "from pathlib import Path; config, _ = compose('train', ['data=x', 'name=y'])\n"
        "run = RunDirectory(Path(sys.argv[1])); run.open_for_training(config, {'hash': 'h'})\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == "open\n"
    with pytest.raises(UserError, match=f"is being trained by process {other.pid} on .*name="):
        run.open_for_training(config, corpus)
    run.check(config, corpus)  # reading is allowed
    other.kill()
    other.wait()
    run.open_for_training(config, corpus)
