"""On a GPU a training step must neither meet a tensor that was left on the CPU nor wait for a value.

The meta device stands for it: it has no values to wait for, and refuses tensors of other devices. Clips of one length,
as chunks mostly are: where shorter ones are padded, the batch statistics of the decoder wait to leave the padding out.
"""

from contextlib import nullcontext

import pytest
import torch

from slts.config import compose
from slts.data.batch import Batch
from slts.systems import build_task

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [0.0] * 80, "std": [1.0] * 80}}


def batch(config) -> Batch:
    clips, frames, size = 2, 45, config.model.image_size
    return Batch(
        video=torch.zeros(clips, frames, config.model.channels, size, size, dtype=torch.uint8),
        recorded=torch.zeros(clips, frames * 640),
        sounds={"synth": torch.zeros(clips, frames * 640)},
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), 25.0),
        speaker=torch.tensor([0, 1]),
        offset_ms=torch.full((clips,), torch.nan),
        key=["a", "b"],
    ).to("meta")


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=s"],
        ["model=m", "vocoder=griffin_lim", "variant=anchored"],
        ["experiment=cpu"],
        ["model=s", "variant=with_discriminators"],
        ["experiment=vcagan"],
        ["experiment=av2a_cpu", "task.base=b"],
        ["experiment=lipsync_expert"],
        ["experiment=wav2lip", "variant=with_quality"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_a_training_step(overrides, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no meta device
    config, _ = compose("train", ["data=d", "name=n", *overrides])
    task = build_task(config, CORPUS).to("meta").train()
    losses, _ = task(batch(config))
    sum(losses.values()).backward()
    assert {loss.device.type for loss in losses.values()} == {"meta"}
    assert all(p.grad is not None for p in task.parameters() if p.requires_grad)
