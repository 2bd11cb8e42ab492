"""UnivNet's discriminators: the published architecture, where gradients go, and that they learn."""

import json
import math

import pytest
import torch
from forked import FORKED, status
from torch import nn
from train_critic import train_critic

from slts.layers.discriminators import (
    PERIODS,
    RESOLUTIONS,
    PeriodNet,
    SpectrogramNet,
    UnivNetDiscriminators,
    adversarial_losses,
    frozen,
)

SMALL = ((4, 6, 8), 4)


def parameters(shapes: list[tuple[int, ...]]) -> int:
    """Of weight-normalised convolutions: weight, and a bias and a gain for each output channel."""
    return sum(torch.Size(shape).numel() + 2 * shape[0] for shape in shapes)


def test_as_many_parameters_as_published():
    period = parameters(
        [(64, 1, 5, 1), (128, 64, 5, 1), (256, 128, 5, 1), (512, 256, 5, 1), (1024, 512, 5, 1), (1, 1024, 3, 1)]
    )
    spectral = parameters([(32, 1, 3, 9), *[(32, 32, 3, 9)] * 3, (32, 32, 3, 3), (1, 32, 3, 3)])
    critic = UnivNetDiscriminators()
    assert [sum(p.numel() for p in net.parameters()) for net in critic.nets] == [spectral] * 3 + [period] * 5
    assert sum(p.numel() for p in critic.parameters()) == 17_725_712


def test_shapes_of_the_scores_follow_from_the_strides():
    scores = UnivNetDiscriminators(*SMALL)(torch.randn(2, 9600))
    frames = {hop: (9600 + 2 * ((fft - hop) // 2) - fft) // hop + 1 for fft, hop, _ in RESOLUTIONS}
    assert frames == {120: 80, 240: 40, 50: 192}
    spectral = [(2, 1, fft // 2 + 1, frames[hop] // 8) for fft, hop, _ in RESOLUTIONS]
    # Two of SMALL's three convolutions have stride 3; each rounds up.
    periods = [(2, 1, math.ceil(9600 / p / 9), p) for p in PERIODS]
    assert [tuple(s.shape) for s in scores] == spectral + periods


def test_a_period_net_sees_only_its_own_column():
    net = PeriodNet(5, (4, 6, 8)).eval()
    audio = torch.randn(1, 1000)
    changed = audio.clone()
    changed[0, 2::5] += 1
    difference = (net(changed) - net(audio)).abs().amax((0, 1, 2))
    assert (difference > 0).tolist() == [False, False, True, False, False]


def test_a_spectrogram_net_is_blind_to_the_sign_and_finite_on_silence():
    net = SpectrogramNet(*RESOLUTIONS[0], 4)
    audio = torch.randn(1, 9600)
    torch.testing.assert_close(net(-audio), net(audio))
    silence = torch.zeros(1, 9600, requires_grad=True)
    net(silence).square().mean().backward()
    assert torch.isfinite(silence.grad).all()


def test_losses_of_hand_computed_scores():
    class Score(nn.Module):
        """Two nets: the mean, and twice the mean."""

        def forward(self, audio):
            return [audio.mean(1), 2 * audio.mean(1)]

    generator, critic = adversarial_losses(Score(), torch.full((3, 4), 0.5), torch.full((3, 4), 0.25))
    # Generator: ((1 - .25)^2 + (1 - .5)^2) / 2; critic: ((.5 - 1)^2 + .25^2 + (1 - 1)^2 + .5^2) / 2.
    assert generator.item() == pytest.approx((0.5625 + 0.25) / 2)
    assert critic.item() == pytest.approx((0.25 + 0.0625 + 0.0 + 0.25) / 2)


def test_each_loss_moves_its_own_side():
    torch.manual_seed(0)
    critic, audio = UnivNetDiscriminators(*SMALL), torch.randn(2, 9600) * 0.1
    generated = (torch.randn(2, 9600) * 0.1).requires_grad_()
    fooling, judging = adversarial_losses(critic, audio, generated)
    fooling.backward()
    assert generated.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.parameters())
    generated.grad = None
    judging.backward()
    assert generated.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_frozen_judges_like_the_critic_itself():
    critic, audio = UnivNetDiscriminators(*SMALL), torch.randn(2, 9600)
    torch.testing.assert_close(frozen(critic, audio), critic(audio))


def tones_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    hz, phase, time = 200 + 600 * torch.rand(4, 1), 6.28 * torch.rand(4, 1), torch.arange(1600) / 16000
    return 0.3 * torch.sin(2 * torch.pi * hz * time + phase), 0.2 * torch.randn(4, 1600)


def pulses_of_either_sign() -> tuple[torch.Tensor, torch.Tensor]:
    return (torch.rand(4, 1600) < 0.1).float(), -(torch.rand(4, 1600) < 0.1).float()


@pytest.mark.parametrize(
    ("nets", "examples"), [(slice(0, 3), tones_and_noise), (slice(3, 8), pulses_of_either_sign)], ids=["MRSD", "MPWD"]
)
def test_the_critic_learns_to_tell_recorded_from_generated(nets, examples):
    torch.manual_seed(0)
    critic = UnivNetDiscriminators((8, 16, 32), 4)
    critic.nets = critic.nets[nets]
    optimizer = torch.optim.AdamW(critic.parameters(), 3e-3, betas=(0.5, 0.9))
    for _ in range(40):
        optimizer.zero_grad()
        adversarial_losses(critic, *examples())[1].backward()
        optimizer.step()
    with torch.no_grad():
        recorded, generated = (critic(audio) for audio in examples())
    gaps = [(r.mean() - g.mean()).item() for r, g in zip(recorded, generated, strict=True)]
    assert min(gaps) > 0.5, gaps


def test_two_processes_train_the_critic_as_one_does(tmp_path):
    def weights(count: int) -> list[float]:
        meeting, out = tmp_path / f"meeting-{count}", tmp_path / f"{count}.json"
        ranks = [FORKED.Process(target=train_critic, args=(rank, count, meeting, out)) for rank in range(count)]
        for rank in ranks:
            rank.start()
        assert [status(rank) for rank in ranks] == [0] * count
        return json.loads(out.read_text())

    one, two = weights(1), weights(2)
    assert len(one) == 4
    assert two == pytest.approx(one, rel=1e-4)
