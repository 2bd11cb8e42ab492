"""SyncNet's objectives and its offsets of batches."""

import math

import pytest
import torch

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.syncnet.network import SyncNet
from slts.systems.syncnet.task import SyncNetTask


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", "experiment=syncnet_cpu", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, {})


def batch(clips: int = 2, frames: int = 30, fps: float = 25.0, size: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        video=torch.randint(0, 255, (clips, frames, 1, size, size), dtype=torch.uint8, generator=generator),
        recorded=torch.randn(clips, round(frames / fps * 16000), generator=generator) * 0.1,
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), fps),
        speaker=torch.zeros(clips, dtype=torch.long),
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
    )


@pytest.mark.parametrize("objective", ["softmax", "contrastive"])
def test_every_parameter_is_trained(objective):
    task = make(f"task.objective={objective}")
    losses, _ = task(batch())
    sum(losses.values()).backward()
    still = [name for name, p in task.named_parameters() if p.grad is None]
    assert not still and "speech" not in task.gives


def test_softmax_by_hand():
    task = make()
    lips = torch.eye(3)[None]
    audio = torch.tensor([[[1.0, 0, 0], [0.0, 1, 0], [1.0, 0, 0]]])
    losses, report = task.softmax_over_time(lips, audio, torch.tensor([[True, True, False]]))
    # Only two windows count; each finds its own sound at 10 against 0.
    assert float(losses["softmax"].detach()) == pytest.approx(math.log(1 + math.exp(-10)), rel=1e-3)
    assert float(report["found_within_a_frame"]) == 1


def test_contrastive_by_hand():
    task = make("task.objective=contrastive", "task.margin=5")
    lips, audio = torch.tensor([[[0.0], [4.0]]]), torch.tensor([[[1.0], [4.0]]])
    windows, valid = torch.tensor([2]), torch.ones(1, 2, dtype=torch.bool)
    losses, _ = task.contrastive(lips, audio, windows, valid)
    # near: 1, 0; the only shift: |0 - 4| = 4, |4 - 1| = 3; (1 + 0 + (5-4)^2 + (5-3)^2) / 2 pairs / 2
    assert float(losses["contrastive"]) == pytest.approx((1 + 0 + 1 + 4) / 4, abs=1e-4)


def test_padding_changes_nothing():
    task = make().eval()
    two = batch(2, 40)
    short = Batch(video=two.video[:1, :30], recorded=two.audio[:1, : 30 * 640], frames=torch.tensor([30]),
                  fps=two.fps[:1], speaker=two.speaker[:1], offset_ms=two.offset_ms[:1], key=["0"])  # fmt: skip
    padded = batch(2, 40)
    padded.frames[0] = 30
    padded.video[0, 30:] = 0
    padded.audio[0, 30 * 640 :] = 0
    alone, together = task.offsets(short), task.offsets(padded)
    assert float(alone.ms[0]) == float(together.ms[0])
    torch.testing.assert_close(alone.distance[0], together.distance[0], atol=1e-4, rtol=1e-4)


def test_frames_are_taken_by_time():
    """A clip of 50 frames a second, each shown twice, is the clip of 25."""
    task = make().eval()
    slow = batch(1, 30)
    fast = Batch(video=slow.video.repeat_interleave(2, 1),
                 recorded=slow.audio, frames=slow.frames * 2, fps=slow.fps * 2, speaker=slow.speaker,
                 offset_ms=slow.offset_ms, key=slow.key)  # fmt: skip
    torch.testing.assert_close(task.offsets(slow).distance, task.offsets(fast).distance)


def test_colour_is_seen_as_bgr():
    task = SyncNetTask({"objective": "contrastive", "margin": 20.0, "radius": 3}, SyncNet(64, 3, 0.125)).eval()
    seen = []
    task.network.embed_lips = lambda video: seen.append(video) or torch.zeros(1, video.shape[1] - 4, 128)
    clip = batch(1, 12)
    clip.video = clip.video.repeat(1, 1, 3, 1, 1)
    clip.video[:, :, 0] = 7
    task.offsets(clip)
    assert (seen[0][:, :, 2] == 7).all() and not (seen[0][:, :, 0] == 7).all()


def test_a_clip_shorter_than_the_window_has_no_offset():
    estimate = make().eval().offsets(batch(1, 5))
    assert estimate.ms.isnan().all()


def test_combinations_that_cannot_work_are_refused():
    for words, overrides in {
        "model=syncnet": ["task=syncnet", "model=small"],
        "at least 56": ["experiment=syncnet_cpu"],
        "chunk_seconds": ["experiment=syncnet_cpu", "chunk_seconds=0.2"],
    }.items():
        config, _ = compose("train", ["data=x", "name=x", *overrides])
        if words == "at least 56":
            config.model.image_size = 40
        with pytest.raises(UserError, match=words):
            check_task(config)
