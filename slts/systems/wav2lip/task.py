"""Wav2Lip: a generator of faces, held to the sound by an expert that never learns from it (arXiv 2008.10010)."""

import torch
from torch import Tensor, nn

from slts.audio.lipsync_mel import lipsync_mel
from slts.data.batch import Batch
from slts.errors import UserError
from slts.layers.discriminators import frozen
from slts.systems.contract import PICTURES
from slts.systems.frame_rate import refuse_rate
from slts.systems.lipsync_expert.frozen_expert import FrozenExpert
from slts.systems.lipsync_expert.learning_expert import LearningExpert
from slts.systems.lipsync_expert.network import RATE, cosine_loss
from slts.systems.lipsync_expert.sound_lead import SoundLead, check_sync
from slts.systems.lipsync_expert.windows import (
    draw_others,
    draw_starts,
    network_pictures,
    pictures_at,
    room,
    sound_at,
    sound_of,
)
from slts.systems.wav2lip.chin_margin import vary_chin
from slts.systems.wav2lip.generator import Generator
from slts.systems.wav2lip.masking import MASKS
from slts.systems.wav2lip.quality import QualityDiscriminator
from slts.systems.wav2lip.reference import CANDIDATES, RANDOM, choose, one_of, references_of

OLDER = {"frames": 5, "mask": "half", "reference": RANDOM, "chin_margin": 0.0, "expert_learns": False}
"""What runs from before these keys were trained with."""
PIECE = 64
"""Pictures drawn at once in evaluation."""
MEMORY = 0.99
"""Share of the running mean of the sync loss that a step keeps."""


def check(config) -> None:
    """Refuses the models of other tasks, and chunks without room for a window and a reference. Raises UserError."""
    if not config.model.name.startswith("wav2lip"):
        raise UserError(
            f"task=wav2lip needs model=wav2lip or model=wav2lip_small, not model={config.model.name}; experiment="
            "wav2lip and experiment=wav2lip_cpu are whole recipes"
        )
    check_sync(config)
    if config.task.get("expert_learns") and config.task.expert is None:
        raise UserError("task.expert_learns=true goes on from an expert; name its run by task.expert=")
    needed = (2 * config.task.get("frames", OLDER["frames"]) + 1) / RATE
    if config.chunk_seconds < needed:
        raise UserError(
            f"chunk_seconds={config.chunk_seconds} has no room for a window and a reference; use at least {needed:.2f}"
        )


def gives(config) -> tuple[str, ...]:
    return Wav2LipTask.gives


def build(config, corpus: dict) -> "Wav2LipTask":
    """The expert is not loaded until the first training step: a trained run draws without it. Learns at 25 frames a
    second, and draws at any. Raises UserError for a corpus of another rate."""
    refuse_rate("wav2lip", RATE, corpus.get("fps", ()))
    model = config.model
    networks = {"image_size": model.image_size, "channels": model.channels, "width": model.width}
    critic = QualityDiscriminator(**networks) if config.task.quality else None
    return Wav2LipTask(config.task, Generator(**networks), critic)


class Wav2LipTask(nn.Module):
    """Generator, expert and quality discriminator; ``task`` is the config group of that name.

    The expert, unless it learns, is no part of the state: it is not optimised, not saved, and always in evaluation
    mode. (The published training leaves it in training mode, so that its statistics follow what is generated.)

    Whether the sync loss counts is state, in buffers that are saved: ``taken`` training steps, ``sync_mean``, the
    running mean of the sync loss of windows that were generated, and ``sync_on``, 1 for ever after ``sync_mean`` was
    below ``task.sync_below`` and ``taken`` at least ``task.sync_from``. (Published: after a validation loss below 0.75,
    and off again after every resumption until the next.)
    """

    takes, gives, fps = (), (PICTURES,), None

    def __init__(self, task, generator: Generator, critic: QualityDiscriminator | None = None):
        super().__init__()
        self.generator, self.critic = generator, critic
        task = {**OLDER, **task}
        self.sound_lead, self.windows, self.mel_lead = SoundLead(task), task["windows"], task["mel_lead_ms"] / 1000
        self.frames, self.mask = task["frames"], MASKS[task["mask"]]
        self.reference, self.chin_margin = task["reference"], task["chin_margin"]
        self.sync_below, self.sync_from = task["sync_below"], task["sync_from"]
        self.sync_weight, self.quality_weight = task["loss"]["sync"], task["loss"]["quality"] if critic else 0.0
        seen = (generator.image_size, generator.channels)
        if task["expert_learns"]:
            self.expert = LearningExpert(task["expert"], *seen, generator.width, self.frames)
        else:
            self.expert = FrozenExpert(task["expert"], *seen, self.frames)
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))
        self.register_buffer("sync_mean", torch.ones(()))
        self.register_buffer("sync_on", torch.zeros(()))

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Random windows of frames, each with as many of another place of its clip for reference."""
        lead, frames = self.sound_lead(batch), self.frames
        lowest, count = room(batch, frames, lead)
        starts = draw_starts(lowest, count, self.windows)
        counts = (count > 0).repeat_interleave(self.windows).float()
        truth, reference = self._faces_of(batch, starts)
        mel = lipsync_mel(batch.audio)
        drawn = self._drawn(truth.flatten(0, 1), reference.flatten(0, 1), self._sound(mel, starts, lead))

        weight = 1 / counts.sum().clamp_min(1)
        apart = (drawn - truth.flatten(0, 1)).abs().mean((1, 2, 3)).unflatten(0, (-1, frames)).mean(1)
        l1 = (apart * counts).sum() * weight
        sync_weight, losses, report = 0.0, {}, {"l1": l1.detach()}
        if self.expert.given:
            windows, own = drawn.unflatten(0, (-1, frames)), sound_of(mel, starts, frames, lead)
            if self.expert.learns:
                if self.training:
                    self.expert.begin()
                other = sound_of(mel, draw_others(starts, lowest, count), frames, lead)
                losses["expert"] = (self.expert.loss(truth, windows, own, other) * counts).sum() * weight
            sync_weight = self.sync_on * self.sync_weight
            sync = (cosine_loss(self.expert(windows, own), 1.0) * counts).sum() * weight
            losses["sync"] = sync_weight * sync
            report["sync_loss"] = sync.detach()
            if self.training:
                self._remember(sync.detach())
            report["sync_on"] = self.sync_on.clone()
        if self.critic is not None:
            of_each = counts.repeat_interleave(frames)
            faces = truth.flatten(0, 1)
            fooled = cosine_loss(frozen(self.critic, drawn), 1.0)
            real, fake = self.critic(faces), self.critic(drawn.detach())
            losses["quality"] = self.quality_weight * (fooled * of_each).sum() * weight / frames
            judged = cosine_loss(real, 1.0) + cosine_loss(fake, 0.0)
            losses["critic"] = (judged * of_each).sum() * weight / frames
            report["critic_margin"] = (real - fake).mean().detach()
        return {"l1": (1 - sync_weight - self.quality_weight) * l1, **losses}, report

    @torch.no_grad()
    def draw(self, batch: Batch) -> Tensor:
        """(B, T_v, C, H, W) uint8: each picture with its lower half drawn to the sound; at any frame rate.

        The reference of each is another picture of its clip. The pictures of one clip do not depend on those of others.
        """
        drawn, mel = torch.zeros_like(batch.video), lipsync_mel(batch.audio)
        for i, frames in enumerate(batch.frames.tolist()):
            shown = torch.arange(frames, device=mel.device)
            pictures = batch.video[i, :frames]
            references = pictures[references_of(self.reference, pictures)]
            drawn[i, :frames] = self._faces(pictures, shown / batch.fps[i], mel[i : i + 1], references)
        return drawn

    @torch.no_grad()
    def draw_at(self, pictures: Tensor, seconds: Tensor, audio: Tensor, references: Tensor) -> Tensor:
        """See slts.systems.contract.GivesPictures."""
        return self._faces(
            pictures, seconds, lipsync_mel(audio), one_of(self.reference, references).expand_as(pictures)
        )

    def _faces(self, pictures: Tensor, seconds: Tensor, mel: Tensor, references: Tensor) -> Tensor:
        """(n, C, H, W) uint8, drawn piece by piece; pictures and references alike, ``mel`` (1, J, 80)."""
        heard = sound_at(mel, (seconds - self.mel_lead)[None])
        pieces = [
            self._drawn(network_pictures(target), network_pictures(reference), sound)
            for target, reference, sound in zip(
                pictures.split(PIECE), references.split(PIECE), heard.split(PIECE), strict=True
            )
        ]
        return video_pictures(torch.cat(pieces))

    def _drawn(self, pictures: Tensor, references: Tensor, heard: Tensor) -> Tensor:
        """Pictures (n, C, H, W) in 0..1 with lips to what is ``heard`` (n, 80, 16)."""
        return self.mask.finish(self.generator(self.mask.hide(pictures), references, heard).float(), pictures)

    def _faces_of(self, batch: Batch, starts: Tensor) -> tuple[Tensor, Tensor]:
        """What is shown in the windows from ``starts`` (B, W) on, and their references: (B W, frames, C, H, W)."""
        none = torch.zeros_like(batch.frames)
        last = batch.frames - self.frames + 1
        draws = 1 if self.reference == RANDOM else CANDIDATES
        repeated = starts.repeat_interleave(draws, 1)
        others = draw_others(repeated, none, last, apart=self.frames)
        if draws > 1:
            candidates = pictures_at(batch.video, others, 1).squeeze(1).unflatten(0, (-1, draws))
            chosen = choose(self.reference, pictures_at(batch.video, starts, 1).squeeze(1), candidates)
            others = others.unflatten(1, (-1, draws)).gather(2, chosen.view(*starts.shape, 1)).squeeze(2)
        faces = [network_pictures(pictures_at(batch.video, first, self.frames)) for first in (starts, others)]
        if self.training and self.chin_margin:
            faces = [vary_chin(windows, self.chin_margin) for windows in faces]
        return tuple(faces)

    def _sound(self, mel: Tensor, starts: Tensor, lead: Tensor) -> Tensor:
        """What the generator hears for each of the frames from ``starts`` (B, W) on: (B W frames, 80, 16)."""
        frames = starts[..., None] + torch.arange(self.frames, device=starts.device)
        return sound_at(mel, (frames.flatten(1) / RATE - self.mel_lead) - lead.nan_to_num()[:, None])

    def _remember(self, sync: Tensor) -> None:
        self.taken += 1
        # In the first steps the mean is over those there were.
        kept = torch.clamp(1 - 1 / self.taken, max=MEMORY)
        self.sync_mean.copy_(kept * self.sync_mean + (1 - kept) * sync)
        ready = (self.sync_mean < self.sync_below) & (self.taken >= self.sync_from)
        self.sync_on.copy_(torch.maximum(self.sync_on, ready.float()))


def video_pictures(faces: Tensor) -> Tensor:
    """The inverse of ``network_pictures``: (n, C, H, W) in 0..1 to uint8, RGB or grey."""
    rounded = (faces * 255).round().clamp(0, 255).to(torch.uint8)
    return rounded.flip(-3) if faces.shape[-3] == 3 else rounded
