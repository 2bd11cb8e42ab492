"""Windows of a few pictures and of the sound that belongs to them, cut from clips at 25 frames a second."""

import torch
from torch import Tensor
from torch.nn import functional

from slts.audio.lipsync_mel import RATE as MEL_RATE
from slts.audio.lipsync_mel import SILENCE
from slts.data.batch import Batch
from slts.layers.lip_convolutions import MEL_FRAMES
from slts.systems.lipsync_expert.network import HEARD, RATE, heard_pictures, window_start


def network_pictures(video: Tensor) -> Tensor:
    """Video (..., C, H, W) uint8, RGB or grey, as the published networks take it: 0..1, BGR."""
    video = video.flip(-3) if video.shape[-3] == 3 else video
    return video.float() / 255


def room(batch: Batch, frames: int, lead: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest first frame (B,) of a window whose pictures and sound both lie in the clip, and how many (B,) there
    are from it on; 0 or less where there is none. ``lead`` (B,) as ``SoundLead`` gives it, seconds."""
    heard = heard_pictures(frames)
    slack = (heard - frames) / 2
    moved = lead.nan_to_num() * RATE
    lowest = (moved + slack).ceil().clamp_min(0)
    highest = torch.minimum(batch.frames - frames, batch.frames - heard + slack + moved).floor()
    return lowest.long(), (highest - lowest + 1).masked_fill(lead.isnan(), 0).long()


def draw_starts(lowest: Tensor, count: Tensor, windows: int) -> Tensor:
    """Random first frames (B, W) from ``lowest`` on, among ``count``."""
    drawn = torch.rand(len(lowest), windows, device=lowest.device)
    return lowest[:, None] + (drawn * count.clamp_min(1)[:, None]).long()


def draw_others(starts: Tensor, lowest: Tensor, count: Tensor, apart: int = 1) -> Tensor:
    """For each of the ``starts`` (B, W) another one among the same ``count``, ``apart`` frames away or more where the
    clip is long enough for that."""
    count = count.clamp_min(1)[:, None]
    least = torch.where(count > 2 * apart, apart, 1)
    drawn = torch.rand(starts.shape, device=starts.device)
    shift = least + (drawn * (count - 2 * least + 1).clamp_min(1)).long()
    return lowest[:, None] + (starts - lowest[:, None] + shift) % count


def pictures_at(video: Tensor, starts: Tensor, frames: int) -> Tensor:
    """The ``frames`` pictures of video (B, T, C, H, W) from each of ``starts`` (B, W) on: (B W, frames, C, H, W); the
    last picture stays where the video ends."""
    places = (starts[..., None] + torch.arange(frames, device=starts.device)).clamp(0, video.shape[1] - 1)
    clips = torch.arange(len(video), device=starts.device)[:, None, None]
    return video[clips, places].flatten(0, 1)


def sound_at(mel: Tensor, seconds: Tensor, count: int = MEL_FRAMES) -> Tensor:
    """The ``count`` frames of mel (B, J, 80) from each of ``seconds`` (B, W) on, to the nearest: (B W, 80, count);
    silent outside of the clip."""
    first = (seconds * MEL_RATE).round().long()
    places = first[..., None] + torch.arange(count, device=mel.device)
    silent = functional.pad(mel, (0, 0, 1, 1), value=SILENCE)
    clips = torch.arange(len(mel), device=mel.device)[:, None, None]
    return silent[clips, (places + 1).clamp(0, mel.shape[1] + 1)].flatten(0, 1).transpose(1, 2)


def sound_of(mel: Tensor, starts: Tensor, frames: int, lead: Tensor) -> Tensor:
    """``sound_at`` for the windows of ``frames`` pictures that begin at frames ``starts`` (B, W)."""
    return sound_at(mel, window_start(starts.float(), frames) - lead.nan_to_num()[:, None], HEARD[frames])
