"""V2A-WaveGAN: shapes, sizes, the penalty by hand, who moves whom, and clips that do not know their padding."""

import numpy as np
import pytest
import torch
from random_clips import random_clips
from torch import nn

from slts.audio.mel import log_mel, magnitude
from slts.config import compose
from slts.data.batch import collate
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.v2a_wavegan.critics import critic_loss, log_power
from slts.systems.v2a_wavegan.generator import WaveDecoder

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
TINY = ("model.image_size=32", "model.frame_width=4", "model.width=16", "model.decoder_widths=[8,8,4,4]")


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, CORPUS)


def tiny(*overrides: str):
    return make("experiment=wavegan_cpu", *TINY, *overrides)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_size_for_a_gpu_by_hand():
    with torch.device("meta"):
        task = make("experiment=wavegan")
    resnet18, first_convolution, classifier = 11_689_512, 3 * 64 * 7 * 7 + 2 * 64, 512 * 1000 + 1000
    assert count(task.front) == resnet18 - first_convolution - classifier + 64 * 5 * 7 * 7 + 2 * 64
    assert count(task.decoder.gru) == 2 * 2 * 3 * 256 * (512 + 256 + 2)  # layers, directions, gates
    layers = zip((512, 256, 128, 64, 32), (256, 128, 64, 32, 16), (5, 4, 4, 4, 2), strict=True)
    assert count(task.decoder.layers) == sum(a * b * 2 * s + b + 2 * b for a, b, s in layers)
    assert count(task.decoder.last) == 16 * 7 + 1
    assert (count(task) - count(task.critic)) / 1e6 == pytest.approx(15.60, abs=0.01)


def test_the_size_for_a_cpu():
    task = make("experiment=wavegan_cpu")
    assert (count(task) - count(task.critic)) / 1e6 == pytest.approx(1.13, abs=0.01)
    assert count(task.critic) / 1e6 == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("strides", [[5, 4, 4, 4, 2], [10, 8, 4, 2], [640]])
def test_640_samples_a_frame(strides):
    decoder = WaveDecoder(8, 2, 4, 8, [4] * len(strides), strides)
    audio = decoder(torch.randn(2, 7, 8), torch.tensor([0, 1]), torch.tensor([7, 7]), None)
    assert audio.shape == (2, 7 * 640) and audio.abs().max() < 1


@pytest.mark.parametrize("strides", [[5, 4, 4, 4, 2], [10, 8, 4, 2]])
def test_a_frame_is_heard_when_it_is_shown(strides):
    """Without the GRU's context, what changes in frame 5 changes the sound around the 40 ms in which it is shown."""
    torch.manual_seed(0)
    decoder = WaveDecoder(8, 1, 4, 8, [8] * len(strides), strides).eval()
    decoder.context = lambda hidden, *_: hidden
    features, speaker, frames = torch.randn(1, 12, 8), torch.tensor([0]), torch.tensor([12])
    other = features.clone()
    other[0, 5] += 1
    with torch.no_grad():
        moved = (decoder(features, speaker, frames, None) - decoder(other, speaker, frames, None))[0].square().numpy()
    centre = (moved * np.arange(len(moved))).sum() / moved.sum()
    assert abs(centre - 5.5 * 640) < 320  # half a frame


def test_the_penalty_by_hand():
    class Slope(nn.Module):
        """Gradient (3, 4) everywhere: steepness 5."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))

        def forward(self, x):
            return x @ self.weight

    critic, real, fake = Slope(), torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 2.0]])
    assert critic_loss(critic, real, fake, 0.0).item() == pytest.approx(8 - 7)
    loss = critic_loss(critic, real, fake, 10.0)
    assert loss.item() == pytest.approx(8 - 7 + 10 * (5 - 1) ** 2)
    loss.backward()
    # d/dw of w.(fake - real) + 10 (|w| - 1)^2 = (-1, 1) + 20 x 4 x (3/5, 4/5)
    torch.testing.assert_close(critic.weight.grad, torch.tensor([-1.0 + 48, 1.0 + 64]))


def test_each_loss_moves_its_side_alone():
    task, batch = tiny(), collate(random_clips(20, 20, size=32))
    losses, _ = task(batch)
    assert losses.keys() == {
        "mel", "power", "mfcc", "adversarial_waveform", "adversarial_power", "critic_waveform", "critic_power"
    }  # fmt: skip
    for name, loss in losses.items():
        task.zero_grad()
        loss.backward(retain_graph=True)
        moved = {
            part
            for part, module in (("front", task.front), ("decoder", task.decoder), *task.critic.items())
            if any(p.grad is not None and p.grad.any() for p in module.parameters())
        }
        assert moved == ({name.removeprefix("critic_")} if name.startswith("critic") else {"front", "decoder"}), name
    task.zero_grad()
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in task.parameters())


def test_a_padded_clip_is_spoken_as_when_alone():
    task, (long, short) = tiny().eval(), random_clips(25, 14, size=32)
    together = task.generate(collate([long, short]))
    assert together.shape == (2, 25 * 640) and not together[1, 14 * 640 :].any()
    torch.testing.assert_close(together[1, : 14 * 640], task.generate(collate([short]))[0], atol=1e-5, rtol=1e-4)


def test_what_it_says_of_the_recording_itself_costs_nothing():
    """The three distances are 0 there and above 0 for the sound of another clip."""
    task, batch = tiny().eval(), collate(random_clips(20, 14, size=32))
    distances = ("mel", "power", "mfcc")
    own = batch.audio * batch.valid.repeat_interleave(640, 1)
    assert all(task.losses(batch, own)[0][name] < 1e-6 for name in distances)
    assert all(task.losses(batch, own.flip(0))[0][name] > 0.1 for name in distances)


def test_each_sound_is_transformed_once(monkeypatch):
    """For the critic of the power spectrum and the distances of both spectra, which are those of the sounds."""
    task, batch = tiny("task.loss.mfcc=0").eval(), collate(random_clips(20, 14, size=32))
    recorded, said = batch.audio * batch.valid.repeat_interleave(640, 1), batch.audio.flip(0)
    mel = (log_mel(said) - log_mel(recorded)).abs().mean()
    power = (log_power(magnitude(said)) - log_power(magnitude(recorded))).abs().mean()
    stft, lengths = torch.stft, []
    monkeypatch.setattr(
        torch, "stft", lambda audio, *more, **keys: lengths.append(len(audio)) or stft(audio, *more, **keys)
    )
    losses, _ = task.losses(batch, said)
    assert lengths == [2, 2]
    torch.testing.assert_close((losses["mel"], losses["power"]), (task.weight.mel * mel, task.weight.power * power))


@pytest.mark.parametrize("adversarial", [0, 1])
def test_it_learns_a_tone(adversarial):
    """From one clip, in a few steps, whether the critics count or not."""
    task, sample = tiny("task.loss.mfcc=0", f"task.loss.adversarial={adversarial}"), random_clips(10, size=32)[0]
    sample["audio"] = torch.sin(torch.arange(6400) * 2 * torch.pi * 440 / 16000) * 0.3
    batch, optimizer = collate([sample, sample]), torch.optim.Adam(task.parameters(), 3e-3, betas=(0.5, 0.9))
    seen = []
    for _ in range(40):
        losses, _ = task(batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        seen.append(losses["mel"].item())
    assert seen[-1] < 0.6 * seen[0]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["model.decoder_strides=[10,8,4,4]"], "must be 640 all together"),
        (["model.decoder_widths=[8,4,4]"], "as many as model.decoder_widths"),
        (["model.width=15"], "must be even"),
        (["chunk_seconds=0.1"], "too short for the critics"),
        (["vocoder=univnet_c16"], "a waveform needs none"),
    ],
)
def test_what_cannot_work_is_refused(keys, words):
    with pytest.raises(UserError, match=words):
        tiny(*keys)


def test_networks_of_another_task_are_refused():
    with pytest.raises(UserError, match="model=small is not for task=v2a_wavegan; use model=wavegan"):
        make("task=v2a_wavegan", "model=small")
