"""Matching: an estimator of offsets for people it was never trained on. It generates nothing.

A clip's own sound near its own offset is what belongs to the picture; its other times and the other clips' sounds do
not. How far each clip is out of sync need not be known: the loss sums over where the match may lie (``task.spread``).
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slts.audio.mel import MEL_RATE, log_mel
from slts.audio.upsampling import mel_lengths
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems.contract import OFFSETS, OffsetEstimate
from slts.systems.matching.network import MatchingNetwork, peak, products, profile, profiles_across
from slts.systems.matching.variation import faster, mouth_views, standardised, standardised_mel, vary_mel, vary_pictures

SEARCHED = 50
"""Mel frames to either side that ``offsets`` searches, whatever the radius in training."""
UNSURE = 0.02
"""Chance that a clip's offset lies anywhere in the range, in the loss."""


def check(config) -> None:
    """Refuses models of other tasks, views that cannot be halved, and chunks without room. Raises UserError."""
    model = config.model
    if not model.name.startswith("matching"):
        raise UserError(f"task=matching needs model=matching, not model={model.name}; experiment=matching is a recipe")
    if model.view % 8:
        raise UserError(f"model.view={model.view} is halved three times; take {8 * round(model.view / 8)}")
    needed = (2 * config.task.radius + config.task.window) * math.exp(config.task.speed) / MEL_RATE
    if config.chunk_seconds < needed:
        raise UserError(f"chunk_seconds={config.chunk_seconds} is too short for task.radius; use at least {needed:.2f}")


def gives(config) -> tuple[str, ...]:
    return MatchingTask.gives


def build(config, corpus: dict) -> "MatchingTask":
    return MatchingTask(config.task, config.model)


class MatchingTask(nn.Module):
    """The network, its losses and its evaluation; ``task`` and ``model`` are the config groups of these names."""

    takes, gives, fps, critic = (), (OFFSETS,), None, None
    offset_step_ms, sure_above = 1000 / MEL_RATE, None

    def __init__(self, task, model):
        super().__init__()
        self.network = MatchingNetwork(model.view, model.width, model.hidden, model.embedding, model.dropout)
        self.radius, self.window, self.spread = task.radius, task.window, task.spread
        self.known_offsets = task.get("known_offsets", True)  # what older runs did
        self.centre, self.side = (0.5, task.mouth_down), task.mouth_side
        self.geometry, self.appearance, self.speed = task.geometry, task.appearance, task.speed
        self.scale = nn.Parameter(torch.tensor([math.log(30.0), math.log(10.0)]))

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        radius = self.radius
        lips, sound, lengths = self.embed(batch, vary=True)
        whole = int(lengths.min())
        lips, sound = lips[:, radius : whole - radius], sound[:, :whole]
        prior = self.prior(batch.offset_ms if self.known_offsets else torch.full_like(batch.offset_ms, torch.nan))
        scale, local = self.scale.exp()
        every = profiles_across(lips, sound)  # (B, B, 2 K + 1)
        # The mean over the shifts tells whose voice suits whose face, or which microphone which camera; not when.
        every = scale * (every - every.mean(-1, keepdim=True))
        own = every.diagonal().T
        spread = math.log(2 * radius + 1)
        near = (own + prior).logsumexp(-1) - spread
        fits = every.logsumexp(-1) - spread  # how well any time of a sound fits a picture
        losses = {
            "sound": (fits.logsumexp(1) - near).mean(),
            "picture": (fits.logsumexp(0) - near).mean(),
        }
        pieces = F.avg_pool1d(products(lips, sound, radius).transpose(1, 2), self.window, self.window // 4)
        pieces = local * pieces.transpose(1, 2)  # (B, pieces, 2 K + 1)
        told = (pieces + prior[:, None]).logsumexp(-1) - pieces.logsumexp(-1)
        losses["time"] = -told.mean()
        best = peak(own.detach())
        report = {
            "own_sound_fits_best": (fits.argmax(1) == torch.arange(len(fits), device=fits.device)).float().mean(),
            "found_within_40_ms": (best.abs() <= 4).float().mean(),
            "scale": scale.detach(),
            "local_scale": local.detach(),
        }
        return losses, report

    def prior(self, offset_ms: Tensor) -> Tensor:
        """Log of (2 K + 1) times the chance of each offset (B, 2 K + 1), around the known one, or 0 where unknown."""
        shifts = torch.arange(-self.radius, self.radius + 1, device=offset_ms.device)
        away = (shifts - offset_ms.nan_to_num(0.0)[:, None] / 10) / self.spread
        near = torch.softmax(-0.5 * away.square(), -1) * (2 * self.radius + 1)
        return ((1 - UNSURE) * near + UNSURE).log()

    def embed(self, batch: Batch, vary: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of picture and sound (B, T, E), one a mel frame, and how many of them (B,) are each clip's."""
        audio, fps = batch.audio, batch.fps
        views = mouth_views(batch.video, self.network.view, self.centre, self.side, self.geometry if vary else 0.0)
        views = standardised(views, batch.valid)
        if vary:
            if torch.rand(()) < self.appearance:
                views = vary_pictures(views)
            factor = math.exp(self.speed * float(2 * torch.rand(()) - 1))
            audio, fps = faster(audio, factor), fps * factor
        mel = log_mel(audio)
        lengths = mel_lengths(batch.frames, fps).clamp_max(mel.shape[1])
        mel = standardised_mel(vary_mel(mel) if vary else mel, lengths)
        # Of pictures near the ends the losses use nothing, apart from what the layers over time see of them.
        skip = int((self.radius - self.network.reach) / MEL_RATE * float(batch.fps.min())) if vary else 0
        lips = self.network.see(views, batch.frames, fps, mel.shape[1], max(0, skip))
        return lips, self.network.hear(mel), lengths

    @torch.no_grad()
    def embed_both(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """``embed``; the picture's are the mean over a clip and its mirror image."""
        lips, sound, lengths = self.embed(batch)
        mirrored, _, _ = self.embed(replace(batch, video=batch.video.flip(-1)))
        return (lips + mirrored) / 2, sound, lengths

    def profiles(self, batch: Batch, radius: int) -> tuple[Tensor, Tensor]:
        """Mean products (B, 2 radius + 1) and valid mel frames (B,)."""
        lips, sound, lengths = self.embed_both(batch)
        return profile(lips, sound, lengths, radius), lengths

    @torch.no_grad()
    def offsets(self, batch: Batch) -> OffsetEstimate:
        """The highest place of the profile; the confidence is the probability within one mel frame of it."""
        curve, _ = self.profiles(batch, SEARCHED)
        distribution = torch.softmax(self.scale[0].exp() * curve, -1)
        place = peak(curve)
        shifts = torch.arange(-SEARCHED, SEARCHED + 1, device=curve.device)
        near = (shifts - place[:, None]).abs() <= 1.5
        return OffsetEstimate(10.0 * place, (distribution * near).sum(-1), 10.0 * (SEARCHED - 1), distribution)
