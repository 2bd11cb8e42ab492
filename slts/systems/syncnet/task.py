"""SyncNet: which sound belongs to which picture, learned from clips that are in sync. It generates nothing."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slts.audio import SAMPLE_RATE
from slts.audio.mfcc import mfcc
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems.contract import OFFSETS, OffsetEstimate
from slts.systems.published_weights import load_published
from slts.systems.syncnet.network import FRAMES, RATE, SMALLEST, SyncNet, distance_curve, read_curve

PUBLISHED = {"objective": "contrastive", "margin": 20.0, "radius": 15}
"""The task's keys for the published weights."""
PIECE = 64
"""Windows embedded at once in evaluation: 0.3 GB at the published size."""


def check(config) -> None:
    """Refuses the models of other tasks, pictures too small, and chunks without room for shifts. Raises UserError."""
    if not config.model.name.startswith("syncnet"):
        raise UserError(
            f"task=syncnet needs model=syncnet or model=syncnet_small, not model={config.model.name}; experiment="
            "syncnet and experiment=syncnet_cpu are whole recipes"
        )
    if config.model.image_size < SMALLEST:
        raise UserError(f"model.image_size={config.model.image_size}: SyncNet's poolings need at least {SMALLEST}")
    needed = (FRAMES + 2) / RATE
    if config.chunk_seconds < needed:
        raise UserError(f"chunk_seconds={config.chunk_seconds} holds no two windows; use at least {needed:.2f}")


def gives(config) -> tuple[str, ...]:
    return SyncNetTask.gives


def build(config, corpus: dict) -> "SyncNetTask":
    model = config.model
    return SyncNetTask(config.task, SyncNet(model.image_size, model.channels, model.width))


def published(weights: str | Path) -> "SyncNetTask":
    """The task with the published weights of a file. Raises UserError as ``load_published`` does."""
    network = SyncNet()
    load_published(network, str(weights), "weights")
    return SyncNetTask(PUBLISHED, network).eval()


class SyncNetTask(nn.Module):
    """SyncNet with its objective and its evaluation; ``task`` is the config group of that name.

    With ``objective`` contrastive, embeddings are compared as they are; with softmax, by their direction, so that
    distances lie in 0..2. Distances and confidences of different networks are on different scales.
    """

    takes, gives, fps, critic = (), (OFFSETS,), None, None
    offset_step_ms, sure_above = 1000 / RATE, None

    def __init__(self, task, network: SyncNet):
        super().__init__()
        self.network = network
        self.objective, self.margin, self.radius = task["objective"], task["margin"], task["radius"]
        if self.objective == "softmax":
            self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        lips, audio, windows = self.embed(batch)
        lips, audio = lips.float(), audio.float()
        valid = torch.arange(lips.shape[1], device=lips.device) < windows[:, None]
        if self.objective == "contrastive":
            return self.contrastive(lips, audio, windows, valid)
        return self.softmax_over_time(lips, audio, valid)

    def contrastive(self, lips: Tensor, audio: Tensor, windows: Tensor, valid: Tensor) -> tuple[dict, dict]:
        """Half of d^2 for windows of one instant and of max(margin - d, 0)^2 for those a random shift apart."""
        shift = 1 + (torch.rand(len(lips), device=lips.device) * (windows - 1)).long()
        place = (torch.arange(lips.shape[1], device=lips.device) + shift[:, None]) % windows[:, None].clamp_min(1)
        other = audio.gather(1, place[..., None].expand_as(audio))
        near, far = (F.pairwise_distance(lips, sound)[valid] for sound in (audio, other))
        loss = (near.square() + (self.margin - far).clamp_min(0).square()).mean() / 2
        report = {"distance_in_sync": near.mean().detach(), "distance_shifted": far.mean().detach()}
        return {"contrastive": loss}, report

    def softmax_over_time(self, lips: Tensor, audio: Tensor, valid: Tensor) -> tuple[dict, dict]:
        """Cross-entropy of finding the sound of each window among all of its clip, by a scaled cosine.

        The constant that is learned beside the scale elsewhere drops out of the softmax.
        """
        logits = self.scale * lips @ audio.transpose(1, 2)
        logits = logits.masked_fill(~valid[:, None], -torch.inf)[valid]
        place = torch.arange(lips.shape[1], device=lips.device).expand(valid.shape)[valid]
        found = (logits.argmax(-1) - place).abs() <= 1
        report = {"found_within_a_frame": found.float().mean(), "scale": self.scale.detach()}
        return {"softmax": F.cross_entropy(logits, place)}, report

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of lips and audio (B, W, E), and how many of the windows (B,) are each clip's.

        A clip has five windows fewer than frames at 25 a second, as in the published evaluation, which wants all MFCC
        frames of a window to lie in the sound.
        """
        video, frames = _at_25(batch)
        if video.shape[2] == 3:
            video = video.flip(2)  # the published network sees BGR
        heard = batch.audio.shape[1] * RATE // SAMPLE_RATE
        windows = (frames.clamp_max(heard) - FRAMES).clamp_min(0)
        count = int(windows.max())
        shape = (len(windows), count, self.network.embedding)
        if not count:
            return (*(batch.audio.new_zeros(shape) for _ in range(2)), windows)
        lips = self._lips(video[:, : count + FRAMES - 1])
        audio = self.network.embed_audio(mfcc(batch.audio[:, : (count + FRAMES) * SAMPLE_RATE // RATE]))[:, :count]
        if self.objective == "softmax":
            lips, audio = F.normalize(lips.float(), dim=-1), F.normalize(audio.float(), dim=-1)
        return lips, audio, windows

    def _lips(self, video: Tensor) -> Tensor:
        """Embeddings of all windows; outside of training piece by piece, so that a long video needs no more memory."""
        count = video.shape[1] - FRAMES + 1
        step = count if self.training else max(1, PIECE // len(video))
        pieces = [video[:, first : first + step + FRAMES - 1] for first in range(0, count, step)]
        return torch.cat([self.network.embed_lips(piece.float()) for piece in pieces], dim=1)

    @torch.no_grad()
    def offsets(self, batch: Batch) -> OffsetEstimate:
        """The published evaluation; NaN for a clip shorter than a window. Confidence is median - smallest distance."""
        lips, audio, windows = (part.float().cpu() for part in self.embed(batch))
        found = [
            read_curve(distance_curve(v[:count], u[:count], self.radius)) if count else (float("nan"),) * 3
            for v, u, count in zip(lips, audio, windows.long().tolist(), strict=True)
        ]
        offset, distance, confidence = torch.tensor(found).T
        return OffsetEstimate(1000 / RATE * offset, confidence, 1000 / RATE * self.radius, distance=distance)


def _at_25(batch: Batch) -> tuple[Tensor, Tensor]:
    """The frames shown at i / 25 s (B, T, C, H, W), and how many of them (B,) each clip has."""
    if bool((batch.fps == RATE).all()):
        return batch.video, batch.frames
    slack = 1e-3  # seconds by which timestamps may be rounded
    frames = ((batch.frames / batch.fps + slack) * RATE).long()
    times = torch.arange(int(frames.max()), device=frames.device) / RATE + slack
    shown = (times[None] * batch.fps[:, None]).long().clamp_max((batch.frames - 1)[:, None])
    return torch.stack([video[index] for video, index in zip(batch.video, shown, strict=True)]), frames
