"""Wav2Lip's expert, trained to tell windows that belong together from windows of one clip that do not."""

import torch
from torch import Tensor, nn

from slts.audio.lipsync_mel import RATE as MEL_RATE
from slts.audio.lipsync_mel import lipsync_mel
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems.contract import OFFSETS, OffsetEstimate
from slts.systems.lipsync_expert.network import HEARD, RATE, LipSyncExpert, cosine_loss, window_start
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

PIECE = 64
"""Windows embedded at once in evaluation."""


def check(config) -> None:
    """Refuses the models of other tasks, and chunks without room for two windows. Raises UserError."""
    if not config.model.name.startswith("lipsync_expert"):
        raise UserError(
            "task=lipsync_expert needs model=lipsync_expert or model=lipsync_expert_small, not model="
            f"{config.model.name}; experiment=lipsync_expert and experiment=lipsync_expert_cpu are whole recipes"
        )
    check_sync(config)
    needed = (HEARD[config.task.frames] / MEL_RATE) + 2 / RATE
    if config.chunk_seconds < needed:
        raise UserError(f"chunk_seconds={config.chunk_seconds} holds no two windows; use at least {needed:.2f}")


def gives(config) -> tuple[str, ...]:
    return LipSyncExpertTask.gives


def build(config, corpus: dict) -> "LipSyncExpertTask":
    model = config.model
    network = LipSyncExpert(model.image_size, model.channels, model.width, config.task.frames)
    return LipSyncExpertTask(config.task, network)


class LipSyncExpertTask(nn.Module):
    """The expert with its objective, the cross-entropy of the cosine, and its offsets; ``task`` is the config group."""

    takes, gives, fps, critic = (), (OFFSETS,), float(RATE), None
    offset_step_ms, sure_above = 1000 / MEL_RATE, None

    def __init__(self, task, network: LipSyncExpert):
        super().__init__()
        self.network = network
        self.sound_lead, self.windows, self.radius = SoundLead(task), task["windows"], task["radius"]

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Random windows of each clip; half of them hear the sound of another window of the clip (section 3.2)."""
        cosine, in_sync, counts = self.pairs(batch, self.windows)
        losses = cosine_loss(cosine, in_sync) * counts
        right = ((cosine > 0.5) == (in_sync > 0.5)).float() * counts
        of_each = {"in_sync": in_sync * counts, "shifted": (1 - in_sync) * counts}
        report = {
            f"cosine_{name}": ((cosine * chosen).sum() / chosen.sum().clamp_min(1)).detach()
            for name, chosen in of_each.items()
        }
        total = counts.sum().clamp_min(1)
        return {"cosine": losses.sum() / total}, report | {"accuracy": (right.sum() / total).detach()}

    def pairs(self, batch: Batch, windows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Random windows of picture and sound: their cosine, whether they are in sync, and whether they count, all
        (B ``windows``,); those of clips too short for two windows, or of an unknown offset, do not."""
        lead, frames = self.sound_lead(batch), self.network.frames
        lowest, count = room(batch, frames, lead)
        starts = draw_starts(lowest, count, windows)
        in_sync = torch.rand(starts.shape, device=starts.device) < 0.5
        heard = torch.where(in_sync, starts, draw_others(starts, lowest, count))
        pictures = network_pictures(pictures_at(batch.video, starts, frames))
        cosine = self.network(pictures, sound_of(lipsync_mel(batch.audio), heard, frames, lead))
        return cosine, in_sync.flatten().float(), (count > 1).repeat_interleave(windows).float()

    @torch.no_grad()
    def offsets(self, batch: Batch) -> OffsetEstimate:
        """The shift of the sound at which the mean cosine of a clip's windows is largest, in steps of a mel frame.

        NaN for a clip that is too short. Confidence is the largest less the median over shifts.
        """
        mel, count = lipsync_mel(batch.audio), batch.frames.tolist()
        found = [self._offset(batch.video[i, : count[i]], mel[i]) for i in range(len(count))]
        ms, confidence = torch.tensor(found).T
        return OffsetEstimate(ms, confidence, self.radius * 1000 / RATE)

    def _offset(self, video: Tensor, mel: Tensor) -> tuple[float, float]:
        """Milliseconds and confidence of video (T, C, H, W) and mel (J, 80)."""
        frames, radius = self.network.frames, round(self.radius * MEL_RATE / RATE)
        heard = min(len(mel), len(video) * MEL_RATE // RATE) - HEARD[frames] + 1
        if len(video) < frames or heard < 1:
            return float("nan"), float("nan")
        starts = torch.arange(len(video) - frames + 1, device=video.device)
        lips = torch.cat(
            [
                self.network.embed_lips(network_pictures(pictures_at(video[None], piece[None], frames))).float()
                for piece in starts.split(PIECE)
            ]
        )
        seconds = torch.arange(heard, device=video.device) / MEL_RATE
        sound = torch.cat(
            [
                self.network.embed_sound(sound_at(mel[None], piece[None], HEARD[frames])).float()
                for piece in seconds.split(PIECE)
            ]
        )
        # Picture of the window v, late by k mel frames, belongs to the sound that begins k mel frames before v's.
        shifts = torch.arange(-radius, radius + 1, device=video.device)
        places = (window_start(starts.float(), frames) * MEL_RATE).round().long()[:, None] - shifts
        inside = (places >= 0) & (places < heard)
        cosines = (lips @ sound.T).gather(1, places.clamp(0, heard - 1)) * inside
        counted = inside.sum(0)
        curve = cosines.sum(0) / counted.clamp_min(1)
        told = counted * 2 >= counted.max()  # means over fewer windows are too uncertain to be compared
        best = int(curve.masked_fill(~told, -1).argmax())
        confidence = curve[best] - curve[told].median()
        return float(shifts[best]) * 1000 / MEL_RATE, float(confidence)
