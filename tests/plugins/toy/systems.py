"""A speaking system, one that draws, and one that listens to a second sound."""

from types import SimpleNamespace

import torch
from torch import nn

from slts.audio.mel import HOP, log_mel
from slts.audio.upsampling import mel_lengths
from slts.errors import UserError
from slts.systems.contract import PICTURES, SPEECH


class Toy(nn.Module):
    """The mean brightness of each frame is the loudness of a tone."""

    takes, gives, fps, critic = (), (SPEECH,), None, None

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def loudness(self, batch):
        return self.scale * batch.video.float().mean((2, 3, 4)) / 255

    def forward(self, batch):
        recorded = batch.audio[:, : batch.video.shape[1] * 640].unflatten(1, (-1, 640)).abs().mean(-1)
        loss = (self.loudness(batch)[:, : recorded.shape[1]] - recorded).square().mean()
        return {"loudness": loss}, {"scale": self.scale.detach()}

    @torch.no_grad()
    def generate(self, batch):
        samples = HOP * int(mel_lengths(batch.frames, batch.fps).max())
        time = torch.arange(samples) / 16000
        return torch.sin(2 * torch.pi * 300 * time) * self.loudness(batch).repeat_interleave(640, 1)[:, :samples]

    def mels(self, batch):
        return {"target": log_mel(batch.audio), "reconstruction": log_mel(self.generate(batch))}


class Painter(Toy):
    """Draws the picture as bright as the sound is loud."""

    gives = (PICTURES,)

    @torch.no_grad()
    def draw(self, batch):
        loud = batch.audio[:, : batch.video.shape[1] * 640].unflatten(1, (-1, 640)).abs().mean(-1) / self.scale.abs()
        return (255 * loud.clamp(0, 1))[:, :, None, None, None].expand(batch.video.shape).to(torch.uint8)


class Listener(Toy):
    """Speaks what it hears of a second sound."""

    takes = ("second",)

    @torch.no_grad()
    def generate(self, batch):
        return self.scale.sign() * batch.sound("second")[:, : HOP * int(mel_lengths(batch.frames, batch.fps).max())]


def module(system: type) -> SimpleNamespace:
    return SimpleNamespace(check=check, gives=lambda config: system.gives, build=lambda config, corpus: system())


def check(config) -> None:
    if config.model.name != "toy":
        raise UserError(f"model={config.model.name} is not for task={config.task.name}; use model=toy")


speaker, painter, listener = module(Toy), module(Painter), module(Listener)
