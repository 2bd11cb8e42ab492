"""Launches that cannot work are refused at the start with the way out."""

from types import SimpleNamespace

import pytest
import torch

from slts.errors import UserError
from slts.training import processes, zero
from slts.training.dry_run import activation_bytes, state_bytes


def accelerator(kind: str = "MULTI_CPU", ranks: int = 2, deepspeed: dict | None = None):
    """What the checks look at."""
    plugin = SimpleNamespace(deepspeed_config=deepspeed or {})
    return SimpleNamespace(
        distributed_type=SimpleNamespace(value=kind),
        num_processes=ranks,
        state=SimpleNamespace(deepspeed_plugin=plugin),
    )


@pytest.mark.parametrize(
    ("kind", "ranks", "started", "batch_size", "words"),
    [
        ("MULTI_CPU", 2, 2, 3, "batch_size=3 cannot be divided by 2 processes; use 2 or 4"),
        ("MULTI_GPU", 8, 8, 4, "batch_size=4 cannot be divided by 8 processes; use 8"),
        ("NO", 1, 2, 4, "2 processes were started and 1 found each other"),
        ("FSDP", 2, 2, 4, "FSDP is not supported"),
    ],
)
def test_processes_that_cannot_train_together(monkeypatch, kind, ranks, started, batch_size, words):
    monkeypatch.setenv("WORLD_SIZE", str(started))
    with pytest.raises(UserError, match=words):
        processes._check(accelerator(kind, ranks), batch_size)


def test_processes_that_can(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    processes._check(accelerator(), 4)


ZERO = {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "none"}}, "gradient_accumulation_steps": 1}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"zero_optimization": {"stage": 3}}, "zero_stage=3: stages 1 and 2"),
        (
            {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
            "offload_optimizer_device to none",
        ),
        ({"gradient_accumulation_steps": 4}, "gradient_accumulation_steps must be 1"),
        ({"fp16": {"enabled": True}}, "precision=bf16"),
        ({"bf16": {"enabled": True}}, "precision=bf16"),
    ],
)
def test_what_zero_does_not_support(changed, words):
    zero.check_configuration(accelerator("DEEPSPEED", deepspeed=ZERO))
    with pytest.raises(UserError, match=words):
        zero.check_configuration(accelerator("DEEPSPEED", deepspeed=ZERO | changed))


def test_zero_that_would_silently_be_something_else():
    with pytest.raises(UserError, match="unset ACCELERATE_USE_CPU"):
        zero.check_configuration(accelerator("MULTI_CPU", deepspeed=ZERO))


@pytest.mark.parametrize("program", ["g++", "ninja"])
def test_zero_on_a_cpu_says_which_program_it_lacks(monkeypatch, program):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(zero.shutil, "which", lambda name: None if name == program else f"/usr/bin/{name}")
    with pytest.raises(UserError, match=r"needs|compiles") as refused:
        zero.check_installed()
    assert f"{program} is not on PATH" in str(refused.value)


def test_zero_says_which_package_it_lacks(monkeypatch):
    find = zero.importlib.util.find_spec
    monkeypatch.setattr(zero.importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name))
    with pytest.raises(UserError, match="pip install transformers"):
        zero.check_installed()


def test_bf16_is_refused_where_the_device_lacks_it(monkeypatch):
    monkeypatch.setattr(processes, "computes_in_bf16", lambda: False)
    with pytest.raises(UserError, match="precision=bf16: this device does not"):
        processes.uses_bf16("bf16")
    assert not processes.uses_bf16("auto")
    monkeypatch.setattr(processes, "computes_in_bf16", lambda: True)
    assert processes.uses_bf16("bf16") and processes.uses_bf16("auto") and not processes.uses_bf16("fp32")


class Layers(torch.nn.Module):
    """Two linear maps with a ReLU between them."""

    def __init__(self):
        super().__init__()
        self.one, self.two = torch.nn.Linear(8, 16, bias=False), torch.nn.Linear(16, 4, bias=False)

    def forward(self, x):
        return {"sum": self.two(self.one(x).relu()).sum()}, {}


def test_memory_by_hand():
    weights = 4 * (8 * 16 + 16 * 4)
    assert state_bytes(Layers(), ranks=4, zero_stage=0) == {
        "weights": weights, "gradients": weights, "optimiser": 2 * weights,
    }  # fmt: skip
    # ZeRO-1: two averages and a copy of the weights, a quarter of each; ZeRO-2: a quarter of the gradients too.
    assert state_bytes(Layers(), ranks=4, zero_stage=1)["optimiser"] == 3 * weights / 4
    assert state_bytes(Layers(), ranks=4, zero_stage=1)["gradients"] == weights
    assert state_bytes(Layers(), ranks=4, zero_stage=2)["gradients"] == weights / 4
    # Kept for the backward pass: the input (10 x 8) and the output of the ReLU (10 x 16), once each.
    assert activation_bytes(Layers(), torch.randn(10, 8)) == 4 * (10 * 8 + 10 * 16)
