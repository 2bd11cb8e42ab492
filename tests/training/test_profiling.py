"""profile=true: the trace, operations counted against a hand count, MFU, the memory, and that nothing else changes."""

import gzip
import json
from types import SimpleNamespace

import pytest
import torch
from conftest import slts
from omegaconf import OmegaConf
from safetensors.torch import load_file

from slts.training.guards import DiskGuard
from slts.training.profiling import Profile
from slts.training.run_directory import RunDirectory

TINY = ("experiment=cpu", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8", "steps=5",
        "validate_every=5", "validate_clips=1", "batch_size=2", "chunk_seconds=1", "workers=0", "tracking=none",
        "log_every=1")  # fmt: skip


def profile(tmp_path, **keys) -> Profile:
    """Of a task of one matrix, on the CPU."""
    given = {"profile": True, "profile_from": 2, "profile_steps": 2, "compile": False, "precision": "fp32"}
    config = OmegaConf.create({**given, "batch_size": 3, **keys})
    state = SimpleNamespace(deepspeed_plugin=None)
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), process_index=0, num_processes=1, is_main_process=True, state=state
    )
    said = []
    made = Profile(config, RunDirectory(tmp_path), accelerator, Matrix(), DiskGuard(tmp_path), said.append)
    made.said = said
    return made


class Matrix(torch.nn.Linear):
    """(3, 5) -> (3, 7)."""

    def __init__(self):
        super().__init__(5, 7, bias=False)

    def forward(self, batch):
        return {"all": super().forward(batch.x).square().sum()}, {}


def step_of(made: Profile):
    def step(batch):
        losses, _ = made.task(batch)
        losses["all"].backward()
        return losses["all"].detach(), True

    return step


BATCH = SimpleNamespace(x=torch.ones(3, 5), key=["a", "b", "c"])


def test_operations_are_those_counted_by_hand_and_memory_that_of_the_dry_run(tmp_path):
    made = profile(tmp_path)
    for _ in range(4):
        made.step(step_of(made), BATCH)
    summary = json.loads((tmp_path / "profile" / "summary.json").read_text())
    once = 2 * 3 * 5 * 7  # multiply and add; forward, and backward to the weights, as the input wants no gradient
    assert summary["flop_a_step"] == made.operations == 2 * once
    assert summary["memory_forecast_bytes"]["weights"] == 4 * 5 * 7 and summary["memory_used_bytes"] > 1e6
    assert summary["traced"] == [2, 3] and summary["peak_flop_a_second"] is None
    [line] = made.said
    assert "4.2e-07 GFLOP a step" in line and "trace in" in line and (tmp_path / "profile").as_posix() in line


def test_mfu_is_told_where_the_peak_is_known(tmp_path, monkeypatch):
    made = profile(tmp_path)
    assert made.efficiency(2, 4.0) == {}
    made.operations = int(1e12)
    assert made.efficiency(2, 4.0) == {"train/teraflops_per_second": 0.5}
    made.peak = 2e12
    assert made.efficiency(2, 4.0) == {"train/teraflops_per_second": 0.5, "train/mfu": 0.25}
    from slts.training import profiling

    for name, peak in (("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA L40S", 362e12),
                       ("NVIDIA L4", 121e12), ("Tesla K80", None), ("NVIDIA L40", None),
                       ("NVIDIA RTX A1000", None)):  # fmt: skip
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        assert profiling._peak(torch.device("cuda")) == peak
    assert profiling._peak(torch.device("cpu")) is None


def test_a_training_that_ends_within_the_traced_steps_leaves_those_it_took(tmp_path):
    made = profile(tmp_path, profile_from=3, profile_steps=100)
    for _ in range(4):
        made.step(step_of(made), BATCH)
    made.end()
    made.end()
    assert [file.name for file in (tmp_path / "profile").glob("*.gz")] == ["steps-003-004-rank-0.json.gz"]
    assert len(made.said) == 1


def test_without_it_nothing_is_done(tmp_path):
    made = profile(tmp_path, profile=False)
    for _ in range(4):
        made.step(step_of(made), BATCH)
    made.end()
    assert not list(tmp_path.iterdir()) and made.efficiency(1, 1.0) == {} and not made.said


@pytest.fixture(scope="module")
def runs(tiny_corpus, tmp_path_factory):
    """The same training with and without profile=true."""
    out = tmp_path_factory.mktemp("runs")
    keys = (*TINY, f"data={tiny_corpus}", f"runs={out}")
    slts("train", *keys, "name=plain")
    done = slts("train", *keys, "name=profiled", "profile=true", "profile_from=2", "profile_steps=2")
    return out, done.stdout


def test_a_profiled_training_learns_the_same_and_leaves_its_trace(runs):
    out, said = runs
    plain, profiled = (load_file(out / name / "last" / "model.safetensors") for name in ("plain", "profiled"))
    assert all(torch.equal(plain[name], profiled[name]) for name in plain)
    with gzip.open(out / "profiled" / "profile" / "steps-002-003-rank-0.json.gz", "rt") as file:
        trace = file.read()
    names = {event.get("name", "") for event in json.loads(trace)["traceEvents"]}
    assert {"aten::conv2d", "Optimizer.step#AdamW.step"} & names and any("backward" in name.lower() for name in names)
    assert str(out) not in trace
    assert "aten::" in (out / "profiled" / "profile" / "steps-002-003-rank-0.txt").read_text()
    assert said.count("profile: ") == 1 and "GFLOP a step" in said
    log = (out / "profiled" / "metrics.jsonl").read_text()
    assert log.count("train/teraflops_per_second") == 5 and "train/mfu" not in log
    assert not (out / "plain" / "profile").exists()


def test_a_profiled_run_is_continued_without(runs, tiny_corpus):
    out, _ = runs
    done = slts("train", *TINY, f"data={tiny_corpus}", f"runs={out}", "name=profiled")
    assert "is trained" in done.stdout
