"""The SVTS-shaped form: its published sizes, what its losses are, and that time is not moved."""

import math

import pytest
import torch
from random_clips import random_clips

from slts.config import compose
from slts.data.batch import collate
from slts.errors import UserError
from slts.layers.lip_front import LipFront
from slts.systems import build_task, check_task
from slts.systems.slts.synchronisation import masked_l1, spectral_convergence

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, CORPUS)


@pytest.mark.parametrize(("size", "millions"), [("s", 27.3), ("m", 43.1), ("l", 87.6)])
def test_the_sizes_are_those_published(size, millions):
    with torch.device("meta"):
        task = make("experiment=svts", f"model=svts_{size}", "vocoder=griffin_lim")
    # The published sizes take a vector of the speaker from a network of its own, ours is learned.
    counted = sum(p.numel() for p in task.parameters()) - task.decoder.speaker.weight.numel()
    assert counted / 1e6 == pytest.approx(millions, abs=0.05)
    resnet18, first_convolution, classifier = 11_689_512, 3 * 64 * 7 * 7 + 2 * 64, 512 * 1000 + 1000
    stem = 64 * 5 * 7 * 7 + 2 * 64
    own = sum(p.numel() for p in task.frame_encoder.parameters())
    assert own == resnet18 - first_convolution - classifier + stem


def test_the_size_for_a_cpu():
    task = make("experiment=svts_cpu")
    assert 1.0e6 < sum(p.numel() for p in task.parameters()) < 1.6e6
    assert task.fps == 25.0 and not task.critic and task.gives == ("speech",)


def test_losses_by_hand():
    target, valid = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]]]), torch.tensor([[True, True, False]])
    said = target + torch.tensor([[[0.0, 2.0], [1.0, 0.0], [7.0, 7.0]]])
    assert masked_l1(said, target, valid).item() == pytest.approx((2 + 1) / 4)
    assert spectral_convergence(said, target, valid).item() == pytest.approx(math.sqrt(4 + 1) / 5)
    two = spectral_convergence(torch.cat([said, target]), torch.cat([target, target]), torch.cat([valid, valid]))
    assert two.item() == pytest.approx(math.sqrt(5) / 5 / 2, abs=1e-5)


def test_its_losses_and_speech():
    task, batch = make("experiment=svts_cpu", "task.loss.intelligibility=0"), collate(random_clips(40, 30, size=48))
    losses, _ = task(batch)
    assert {name for name, value in losses.items() if value} == {"l1", "convergence"}
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in task.parameters())
    assert task.eval().generate(batch).shape == (2, 40 * 640)


def test_a_padded_clip_is_spoken_as_when_alone():
    task, (long, short) = make("experiment=svts_cpu").eval(), random_clips(40, 30, size=48)
    with torch.no_grad():
        together = task.reconstruct(collate([long, short]), 160)[1][1, :120]
        alone = task.reconstruct(collate([short]), 120)[1][0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_each_frame_makes_the_mel_of_its_own_40_ms():
    """The last layer is told apart from the conformer: hidden frame i is mel frames 4 i to 4 i + 3."""
    last = make("experiment=svts_cpu").decoder.postnet
    hidden = torch.zeros(1, 10, 96)
    moved = hidden.clone()
    moved[0, 3] = 1.0
    when = torch.tensor([10]), torch.tensor([25.0]), 40
    apart = (last(moved, *when) != last(hidden, *when)).any(-1)[0]
    assert last(hidden, *when).shape == (1, 40, 80) and apart.nonzero().flatten().tolist() == [12, 13, 14, 15]


def test_a_feature_knows_five_frames():
    front, video = LipFront(1, 4, (1, 1, 1, 1)).eval(), torch.randn(1, 12, 1, 32, 32)
    other = video.clone()
    other[:, 6] += 1
    assert (front(video) != front(other)).any(-1)[0].nonzero().flatten().tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["variant=paper"], "can hide an offset from DSM and SSM"),
        (["model.checkpointing=true"], "recomputes single frames only"),
        (["task.loss.l1=0", "task.loss.convergence=0"], "without a loss of its mel"),
    ],
)
def test_what_cannot_work_is_refused(keys, words):
    with pytest.raises(UserError, match=words):
        make("experiment=svts_cpu", *keys)
