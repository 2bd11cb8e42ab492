"""The matching task: its losses, its offsets, and that it learns when picture and sound belong together."""

import numpy as np
import pytest
import torch

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task

RATE = 25.0


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", "experiment=matching", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, {})


def talking(clips: int, seconds: float, lags_ms: list[int], seed: int) -> Batch:
    """Discs that open as far as a hiss is loud; clip i shows ``lags_ms[i]`` later than it is heard."""
    rng = np.random.default_rng(seed)
    frames, samples = round(seconds * RATE), round(seconds * 16000)
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    video, audio = [], []
    for lag in lags_ms:
        time = np.arange(-0.5, seconds + 0.5, 0.04)
        loudness = np.abs(rng.standard_normal(len(time)))
        heard = np.interp(np.arange(samples) / 16000, time, loudness)
        seen = np.interp(np.arange(frames) / RATE - lag / 1000, time, loudness)
        radius = np.hypot(x, 1.5 * y)
        opened = 200.0 * (radius[None] < 0.3 * seen[:, None, None]) + rng.normal(20, 3, (frames, 48, 48))
        video.append(np.clip(opened, 0, 255))
        audio.append(0.1 * heard * rng.standard_normal(samples))
    return Batch(
        video=torch.from_numpy(np.stack(video).astype(np.uint8))[:, :, None],
        recorded=torch.from_numpy(np.stack(audio).astype(np.float32)),
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), RATE),
        speaker=torch.zeros(clips, dtype=torch.long),
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
    )


SMALL = ("model.view=16", "model.width=4", "model.hidden=24", "model.embedding=8", "model.dropout=0")
WHOLE = ("task.mouth_down=0.5", "task.mouth_side=1.0")


def test_every_parameter_is_trained():
    task = make(*SMALL)
    losses, report = task(talking(3, 1.92, [0, 0, 0], 0))
    sum(losses.values()).backward()
    still = [name for name, p in task.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not still and task.gives == ("offsets",)
    assert all(not value.requires_grad for value in report.values())


def test_it_learns_offsets_from_clips_that_are_only_nearly_in_sync():
    task = make(*SMALL, *WHOLE, "task.geometry=0.3", "task.appearance=0.3")
    optimiser = torch.optim.AdamW(task.parameters(), 5e-3)
    rng = np.random.default_rng(0)
    for step in range(60):
        losses, _ = task(talking(8, 1.92, rng.integers(-20, 21, 8).tolist(), step))
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    task.eval()
    lags = [-200, -90, 0, 40, 130, 240]
    found = task.offsets(talking(6, 2.4, lags, 1000))
    assert np.abs(found.ms.numpy() - lags).max() <= 40  # the sign, too
    assert torch.allclose(found.distribution.sum(1), torch.ones(6))
    # The sound of another clip reaches nothing like that.
    batch = talking(6, 2.4, [0] * 6, 2000)
    right, _ = task.profiles(batch, 30)
    batch.recorded = batch.recorded.roll(1, 0)
    wrong, _ = task.profiles(batch, 30)
    assert float((right.amax(1) - right.mean(1)).min()) > float((wrong.amax(1) - wrong.mean(1)).max())


def test_a_known_offset_is_where_the_match_is_looked_for():
    task = make(*SMALL)
    prior = task.prior(torch.tensor([float("nan"), -120.0])).exp()
    assert prior.argmax(1).tolist() == [30, 30 - 12]
    assert torch.allclose(prior.mean(1), torch.ones(2), atol=1e-4)
    assert float(prior.min()) > 0  # a clip may be anywhere


@pytest.mark.parametrize("known", [True, False])
def test_known_offsets_may_be_left_untold(known):
    untold, told = (talking(3, 1.92, [-120, -120, -120], 0) for _ in range(2))
    told.offset_ms = torch.full((3,), -120.0)
    losses = []
    for batch in (untold, told):
        task = make(*SMALL, f"task.known_offsets={str(known).lower()}")  # the same weights and draws
        losses.append(float(task(batch)[0]["time"].detach()))
    assert (losses[0] != losses[1]) == known


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match="model=matching"):
        make("model=syncnet_small")
    with pytest.raises(UserError, match="take 32"):
        make("model.view=30")
    with pytest.raises(UserError, match="chunk_seconds"):
        make("chunk_seconds=0.8")
