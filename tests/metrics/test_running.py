"""Running means of aligned scores: equal to those of the pairs, with torchmetrics and without."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from metric_clips import speech_like

import slts
from slts.metrics import running, score_pair
from slts.reporting.sensitivity import delayed

NAMES = {"AlignedSTOI": "a_stoi", "AlignedESTOI": "a_estoi", "AlignedPESQ": "a_pesq", "AlignedMCD": "a_mcd"}
REFERENCES = [speech_like(seed, 1.5) for seed in range(3)]
GENERATED = [delayed(speech_like(seed, 1.5, noise=0.05), 160 * seed) for seed in range(3)]


@pytest.fixture(params=["plain", "torchmetrics"])
def metrics(request, monkeypatch):
    """The module as it is where torchmetrics is not installed, and where it is."""
    if request.param == "torchmetrics":
        pytest.importorskip("torchmetrics")
    else:
        monkeypatch.setitem(sys.modules, "torchmetrics", None)
    spec = importlib.util.spec_from_file_location("running_afresh", running.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def batch(*indices: int) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.from_numpy(np.stack([side[i] for i in indices])) for side in (GENERATED, REFERENCES))


@pytest.mark.parametrize("name", NAMES)
def test_is_the_mean_of_the_pairs(metrics, name):
    metric = getattr(metrics, name)()
    expected = [score_pair(*pair, [NAMES[name]])[NAMES[name]] for pair in zip(REFERENCES, GENERATED, strict=True)]
    metric.update(*batch(0))
    assert metric(*batch(1, 2)).item() == pytest.approx(np.mean(expected[1:]))
    assert metric.compute().item() == pytest.approx(np.mean(expected), rel=1e-5)
    metric.reset()
    metric.update(*(side[0] for side in batch(2)))
    assert metric.compute().item() == pytest.approx(expected[2])


def test_a_pair_without_a_value_is_counted_and_not_in_the_mean(metrics):
    metric = metrics.AlignedSTOI()
    assert metric.scored == metric.failed == 0
    metric.update([torch.zeros(9000), torch.from_numpy(GENERATED[1][:20000])], [torch.from_numpy(REFERENCES[1])] * 2)
    assert (metric.failed.item(), metric.scored.item()) == (1, 1) and 0.8 < metric.compute() <= 1
    metric.reset()
    metric.update(torch.full((1, 9000), torch.nan), torch.ones(1, 9000))
    assert metric.failed == 1 and torch.isnan(metric.compute())
    with pytest.raises(ValueError, match="shorter"):
        metric.update(batch(0, 1)[0], batch(0)[1])


def test_aligned_scores_forgive_a_lag_and_no_other_fault():
    metric, late = slts.AlignedSTOI(), delayed(REFERENCES[0], 1600)
    assert score_pair(REFERENCES[0], late, ["stoi"])["stoi"] < 0.5
    assert metric(torch.from_numpy(late), torch.from_numpy(REFERENCES[0])) > 0.99
    assert metric(batch(0)[0], batch(1)[1]) < 0.5


def test_states_are_sums_over_processes(metrics):
    one, two, both = (metrics.AlignedMCD() for _ in range(3))
    one.update(*batch(0))
    two.update(*batch(1, 2))
    both.update(*batch(0, 1, 2))
    assert (one.total + two.total) / (one.scored + two.scored) == pytest.approx(both.compute().item())


def test_a_collection_of_torchmetrics_takes_them():
    torchmetrics = pytest.importorskip("torchmetrics")
    both = torchmetrics.MetricCollection([slts.AlignedSTOI(), slts.AlignedMCD()])
    both.update(*batch(0, 1))
    assert set(both.compute()) == {"AlignedSTOI", "AlignedMCD"}
