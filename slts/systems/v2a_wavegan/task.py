"""V2A-WaveGAN: silent video to waveform, held to the recording by three distances and two critics."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.audio.mel import log_bands, log_mel, magnitude
from slts.audio.mfcc import mfcc
from slts.data.batch import Batch
from slts.errors import UserError
from slts.layers.discriminators import frozen
from slts.layers.lip_front import LipFront
from slts.systems.contract import SPEECH
from slts.systems.frame_rate import SAMPLES
from slts.systems.v2a_wavegan.critics import PowerCritic, WaveformCritic, critic_loss, log_power
from slts.systems.v2a_wavegan.generator import WaveDecoder

FPS = 25.0
SHORTEST = 0.2
"""Seconds: the critics shorten time by 1024 samples, and by 16 frames of 10 ms."""


def check(config) -> None:
    """Refuses networks of other tasks, strides that are not 640 together, chunks too short. Raises UserError."""
    model = config.model
    if "decoder_strides" not in model:
        raise UserError(
            f"model={model.name} is not for task={config.task.name}; use model=wavegan or model=wavegan_small"
        )
    if math.prod(model.decoder_strides) != SAMPLES or len(model.decoder_strides) != len(model.decoder_widths):
        raise UserError(
            f"model.decoder_strides={list(model.decoder_strides)}: must be {SAMPLES} all together, the samples of a"
            f" video frame, and as many as model.decoder_widths; [5,4,4,4,2], say"
        )
    if model.width % 2:
        raise UserError(f"model.width={model.width} must be even: half of it is each direction of the GRU")
    if config.chunk_seconds < SHORTEST:
        raise UserError(f"chunk_seconds={config.chunk_seconds} is too short for the critics; use at least {SHORTEST}")
    if config.vocoder.name != "griffin_lim":
        raise UserError(f"vocoder={config.vocoder.name}: a waveform needs none; leave the key out")


def gives(config) -> tuple[str, ...]:
    return V2aWaveGanTask.gives


def build(config, corpus: dict) -> "V2aWaveGanTask":
    return V2aWaveGanTask(config.task, config.model, corpus)


class V2aWaveGanTask(nn.Module):
    """Front, decoder and critics, with their losses, each step of which serves both sides."""

    takes, gives, fps = (), (SPEECH,), FPS

    def __init__(self, task, model, corpus: dict):
        super().__init__()
        self.weight = task.loss
        self.front = LipFront(model.channels, model.frame_width, tuple(model.frame_blocks), lambda _: nn.ReLU())
        self.decoder = WaveDecoder(
            self.front.output_width,
            len(corpus["speakers"]),
            model.speaker_width,
            model.width,
            list(model.decoder_widths),
            list(model.decoder_strides),
        )
        critics = {"waveform": WaveformCritic(model.critic_width), "power": PowerCritic(model.critic_width)}
        self.critic = nn.ModuleDict(critics)

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.losses(batch, self.speak(batch))

    def losses(self, batch: Batch, said: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and report of speech (B, 640 T_v) against the recorded sound, silent after each clip's end."""
        recorded = functional.pad(batch.audio, (0, max(0, said.shape[1] - batch.audio.shape[1])))[:, : said.shape[1]]
        if batch.valid is not None:
            recorded = recorded * batch.valid.repeat_interleave(SAMPLES, 1)
        spectra = magnitude(recorded), magnitude(said)
        views = {"waveform": (recorded, said), "power": tuple(map(log_power, spectra))}
        weight, losses = self.weight, {}
        # The last frame is half outside of the sound and not of its log-mel.
        mel, of_said = (log_bands(spectrum[:, :, :-1]) for spectrum in spectra)
        losses["mel"] = weight.mel * functional.l1_loss(of_said, mel)
        losses["power"] = weight.power * functional.l1_loss(views["power"][1], views["power"][0])
        losses["mfcc"] = weight.mfcc * functional.l1_loss(mfcc(said), mfcc(recorded))
        for name, (real, fake) in views.items():
            critic = self.critic[name]
            losses[f"adversarial_{name}"] = -weight.adversarial * frozen(critic, fake).mean()
            losses[f"critic_{name}"] = critic_loss(critic, real, fake, weight.penalty)
        return losses, {}

    def encode(self, batch: Batch) -> Tensor:
        """Frame features (B, T_v, D) of the pictures, brought to about -2..2."""
        return self.front((batch.video.float() - 128) / 64, batch.valid)

    def speak(self, batch: Batch) -> Tensor:
        """(B, 640 T_v) of the pictures."""
        return self.decoder(self.encode(batch), batch.speaker, batch.frames, batch.valid)

    @torch.no_grad()
    def generate(self, batch: Batch) -> Tensor:
        """Speech (B, N), in sync with the video if the clips learned from were; needs no audio in the batch."""
        return self.speak(batch)

    @torch.no_grad()
    def mels(self, batch: Batch) -> dict[str, Tensor]:
        """Log-mels of the recorded and the generated sound."""
        return {"target": log_mel(batch.audio), "reconstruction": log_mel(self.speak(batch))}
