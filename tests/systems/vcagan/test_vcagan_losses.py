"""VCA-GAN's losses against values computed by hand."""

import math

import pytest
import torch
from torch import nn

from slts.systems.vcagan.discriminators import discriminator_loss, generator_loss, gradient_penalty
from slts.systems.vcagan.sync_network import contrastive_loss, distance_loss


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_logistic_losses_by_hand():
    real, fake = (
        [torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, -1.0]])],
        [torch.tensor([[-1.0, 3.0]]), torch.zeros(1, 2)],
    )
    first = softplus(-1) + softplus(0) + softplus(-1) + softplus(3)
    second = softplus(-2) + softplus(1) + 2 * softplus(0)
    assert discriminator_loss(real, fake).item() == pytest.approx((first + second) / 2)
    assert generator_loss(fake).item() == pytest.approx((softplus(1) + softplus(-3) + 2 * softplus(0)) / 2)
    assert generator_loss([torch.zeros(3, 2)] * 3).item() == pytest.approx(2 * math.log(2))


def test_r1_of_a_linear_discriminator_is_its_squared_weight():
    torch.manual_seed(0)
    unconditional, conditional = nn.Linear(12, 1), nn.Linear(12, 1)
    mels = [torch.randn(5, 3, 4, requires_grad=True), torch.randn(5, 2, 6, requires_grad=True)]
    logits = [torch.cat([unconditional(m.flatten(1)), conditional(m.flatten(1))], 1) for m in mels]
    penalty = gradient_penalty(logits, mels)
    torch.testing.assert_close(penalty, unconditional.weight.square().sum())
    penalty.backward()
    torch.testing.assert_close(unconditional.weight.grad, 2 * unconditional.weight)
    assert conditional.weight.grad is None or not conditional.weight.grad.any()


def test_contrastive_loss_by_hand():
    axes = torch.eye(2)[None] * 7  # the length of a vector does not count
    expected = -math.log(math.e / (math.e + 1))
    assert contrastive_loss(axes, axes).item() == pytest.approx(expected)
    swapped = -math.log(1 / (math.e + 1))
    assert contrastive_loss(axes, axes.flip(1)).item() == pytest.approx(swapped)


def test_contrastive_loss_looks_both_ways():
    phon = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    sound = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    # Picture to sound: both rows are (1, 0), the diagonal 1 and 0. Sound to picture: rows (1, 1) and (0, 0).
    to_sound = (-math.log(math.e / (math.e + 1)) - math.log(1 / (math.e + 1))) / 2
    expected = (to_sound + math.log(2)) / 2
    assert contrastive_loss(phon, sound).item() == pytest.approx(expected)
    assert contrastive_loss(sound, phon).item() == pytest.approx(expected)


def test_padding_does_not_change_the_sync_losses():
    torch.manual_seed(0)
    phon, sound = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    valid = torch.arange(6)[None] < 4
    for loss in (contrastive_loss, distance_loss):
        torch.testing.assert_close(loss(phon, sound, valid), loss(phon[:, :4], sound[:, :4]))
        assert not torch.isclose(loss(phon, sound), loss(phon, sound, valid))


def test_distance_is_five_less_the_mean_of_absolute_cosines():
    phon = torch.tensor([[[2.0, 0.0], [1.0, 0.0], [3.0, 4.0]]])
    sound = torch.tensor([[[-5.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    assert distance_loss(phon, sound).item() == pytest.approx(5 - (1 + 0 + 0.6) / 3)
