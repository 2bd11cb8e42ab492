"""Which running statistics the steps of AV2A move."""

import torch
from pytest import MonkeyPatch
from torch import nn

from slts.data.batch import Batch


def moved_by(task: nn.Module, norm: nn.Module, clips: Batch, monkeypatch: MonkeyPatch) -> dict[str, set[str]]:
    """By the modalities of a step: those whose running mean of a batch norm of the decoder it moves."""
    index = task.statistics.norms.index(norm)
    sets = {name: getattr(task.statistics, f"{name}_{index}_running_mean") for name in ("av", "a")}
    sets["v"] = norm.running_mean
    moved = {}
    for modalities in ("a", "av", "v"):
        before = {name: value.clone() for name, value in sets.items()}
        monkeypatch.setattr(task, "draw", lambda modalities=modalities: modalities)
        task(clips)
        assert norm.running_mean is sets["v"]
        moved[modalities] = {name for name in sets if not torch.equal(sets[name], before[name])}
    return moved
