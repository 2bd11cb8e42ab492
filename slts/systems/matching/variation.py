"""Pictures and sounds as other people, cameras, rooms and channels would have given them; the timing stays.

All of it works on tensors of a batch, on whatever device they are, with torch's random numbers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from slts.audio.mel import FLOOR


def uniform(low: float, high: float, *shape: int, like: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(shape, device=like.device)


def some(chance: float, *shape: int, like: Tensor) -> Tensor:
    """1.0 with a chance, else 0.0."""
    return (torch.rand(shape, device=like.device) < chance).float()


def mouth_views(video: Tensor, size: int, centre: tuple[float, float], side: float, strength: float = 0.0) -> Tensor:
    """Squares around the mouth, from squares around the face.

    Args:
        video: (B, T, 1, H, H) uint8 or float.
        size: side of the views, pixels.
        centre: of the views, across and down, in sides of the pictures.
        side: of the views, in sides of the pictures.
        strength: of random shifts, turns, stretches, bends, trembling and mirroring, the same in a clip; 0 is none.

    Returns:
        (B, T, 1, size, size) float, in the units of ``video``.
    """
    count, length = video.shape[:2]
    video = video.float()
    line = (torch.arange(size, device=video.device) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([x, y], -1).expand(count, size, size, 2)
    middle = torch.tensor(centre, device=video.device) * 2 - 1
    tremble = 0.0
    if strength:
        grid = _warped(grid, strength)
        middle = middle + side * strength * uniform(-0.16, 0.16, count, 1, 1, 2, like=video)
        path = torch.randn(count, 2, length, device=video.device)
        path = F.avg_pool1d(F.pad(path, (4, 4), mode="replicate"), 9, 1)
        amount = strength * side * 0.03 * torch.rand(count, 1, 1, device=video.device)
        tremble = (amount * path).transpose(1, 2)[:, :, None, None]
    grid = (grid * side + middle)[:, None] + tremble
    grid = grid.expand(count, length, size, size, 2).flatten(0, 1)
    views = F.grid_sample(video.flatten(0, 1), grid, padding_mode="border", align_corners=False)
    return views.unflatten(0, (count, length))


def _warped(grid: Tensor, strength: float) -> Tensor:
    """Coordinates (B, S, S, 2) of -1..1, turned, stretched, mirrored and bent."""
    count, size = grid.shape[:2]
    angle = uniform(-0.2, 0.2, count, like=grid) * strength
    zoom = torch.exp(uniform(-0.22, 0.25, count, 1, like=grid) * strength)
    zoom = zoom * torch.exp(uniform(-0.1, 0.1, count, 2, like=grid) * strength)
    mirror = 1 - 2 * some(0.5, count, like=grid)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    matrix = torch.stack([torch.stack([cosine * mirror, -sine], -1), torch.stack([sine * mirror, cosine], -1)], 1)
    matrix = matrix * zoom[:, None]
    bend = torch.randn(count, 2, 4, 4, device=grid.device) * 0.06 * strength
    bend = F.interpolate(bend, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return torch.einsum("bij,bhwj->bhwi", matrix, grid) + bend


def standardised(views: Tensor, valid: Tensor | None = None) -> Tensor:
    """Views (B, T, 1, S, S) with mean 0 and deviation 1 in each clip; 0 where not ``valid`` (B, T)."""
    over = (1, 2, 3, 4)
    if valid is None:
        views = views - views.mean(over, keepdim=True)
        return views / views.square().mean(over, keepdim=True).sqrt().clamp_min(1e-3)
    valid = valid[..., None, None, None].to(views.dtype)
    part = valid.mean(over, keepdim=True)
    views = (views - (views * valid).mean(over, keepdim=True) / part) * valid
    return views / (views.square().mean(over, keepdim=True) / part).sqrt().clamp_min(1e-3)


def vary_pictures(views: Tensor) -> Tensor:
    """Standardised views (B, T, 1, S, S) under other light, faces, cameras and compression."""
    count, length, _, size, _ = views.shape
    line = torch.linspace(-1, 1, size, device=views.device)
    slope = uniform(-0.5, 0.5, 2, count, 1, 1, 1, 1, like=views)
    light = 1 + slope[0] * line + slope[1] * line[:, None]
    gamma = torch.exp(uniform(-0.5, 0.5, count, 1, 1, 1, 1, like=views))
    bright = ((views + 2.5) / 5).clamp(1e-3, 1) ** gamma * light
    time = torch.arange(length, device=views.device).view(1, -1, 1, 1, 1)
    phase, speed = uniform(0, 6.3, count, 1, 1, 1, 1, like=views), uniform(0.0, 0.3, count, 1, 1, 1, 1, like=views)
    bright = bright * (1 + uniform(0, 0.12, count, 1, 1, 1, 1, like=views) * torch.sin(phase + speed * time))
    views = standardised(bright)
    # Another face's skin and beard: part of the mean picture of another clip in place of one's own.
    still = views.mean(1, keepdim=True)
    exchanged = some(0.5, count, 1, 1, 1, 1, like=views) * uniform(0, 0.9, count, 1, 1, 1, 1, like=views)
    views = views + exchanged * (still.roll(1, 0) - still)
    flat = views.flatten(0, 1)
    if torch.rand(()) < 0.4:
        blurred = F.avg_pool2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, 1).view_as(views)
        views = views + uniform(0, 1.2, count, 1, 1, 1, 1, like=views) * (blurred - views)
    elif torch.rand(()) < 0.3:
        coarse = F.interpolate(F.avg_pool2d(flat, 2), scale_factor=2, mode="nearest").view_as(views)
        views = views + uniform(0, 0.8, count, 1, 1, 1, 1, like=views) * (coarse - views)
    noise = some(0.5, count, 1, 1, 1, 1, like=views) * uniform(0, 0.25, count, 1, 1, 1, 1, like=views)
    views = views + noise * torch.randn_like(views)
    # Frames shown twice, as where a camera's rate was changed.
    held = some(0.15, count, 1, 1, 1, 1, like=views) * some(0.12, count, length, 1, 1, 1, like=views)
    held[:, 0] = 0
    views = torch.where(held > 0, views.roll(1, 1), views)
    # Something in front of the picture.
    place, extent = uniform(-1, 1, count, 2, 1, 1, like=views), uniform(0.1, 0.4, count, 2, 1, 1, like=views)
    inside = ((line - place[:, 0]).abs() < extent[:, 0]) & ((line[:, None] - place[:, 1]).abs() < extent[:, 1])
    inside = inside & (some(0.3, count, 1, 1, like=views) > 0)
    views = views.masked_fill(inside[:, None, None], 0.0)
    return standardised(views)


def faster(audio: Tensor, factor: float) -> Tensor:
    """Audio (B, N) played ``factor`` times as fast, pitch included."""
    length = int(audio.shape[1] / factor)
    return F.interpolate(audio[:, None], size=length, mode="linear", align_corners=True)[:, 0]


def vary_mel(mel: Tensor) -> Tensor:
    """Log-mels (B, T, 80) of other throats and rooms, with other people and noise behind them, and as microphones,
    telephones and codecs pass them on; louder and softer."""
    count, length, bands = mel.shape
    band = torch.arange(bands, device=mel.device).float()
    # A longer or shorter throat moves the formants along the bands.
    source = band * torch.exp(uniform(-0.12, 0.12, count, 1, like=mel)) + uniform(-2, 2, count, 1, like=mel)
    source = source.clamp(0, bands - 1.001)
    low = source.long()
    part = (source - low)[:, None]
    low = low[:, None].expand(count, length, bands)
    mel = mel.gather(2, low) * (1 - part) + mel.gather(2, low + 1) * part
    heard = mel.exp()
    level = heard.mean((1, 2), keepdim=True).clamp_min(1e-4)
    heard = heard / level
    # A room: a tail that falls by 60 dB in 0.1-0.6 s behind the direct sound.
    fall = torch.exp(-0.069 * torch.arange(24, 0, -1, device=mel.device) / uniform(0.1, 0.6, count, 1, like=mel))
    fall = fall / fall.sum(1, keepdim=True) * uniform(0, 0.6, count, 1, like=mel) * some(0.35, count, 1, like=mel)
    past = F.pad(heard.transpose(1, 2), (24, 0))[None, :, :, :-1].reshape(1, count * bands, -1)
    tail = F.conv1d(past, fall.repeat_interleave(bands, 0)[:, None], groups=count * bands)
    heard = heard + tail.view(count, bands, length).transpose(1, 2)
    decibels = uniform(3, 35, 2, count, 1, 1, like=mel)
    others = heard.roll(1, 0).roll(length // 3, 1) * some(0.3, count, 1, 1, like=mel)
    colour = F.interpolate(torch.randn(count, 2, 5, device=mel.device), size=bands, mode="linear", align_corners=True)
    noise = (0.8 * colour[:, :1] - uniform(0, 2, count, 1, 1, like=mel) * band / bands).exp()
    noise = noise * (0.3 + torch.rand_like(mel)) * some(0.6, count, 1, 1, like=mel)
    heard = heard + others * 10 ** (-decibels[0] / 20) + noise * 10 ** (-decibels[1] / 20)
    mel = (heard * level * torch.exp(uniform(-2.5, 1.5, count, 1, 1, like=mel))).clamp_min(FLOOR).log()
    mel = mel + colour[:, 1:]
    floor = mel.amin((1, 2), keepdim=True)
    cut = uniform(40, 80, count, 1, 1, like=mel)
    cut = torch.where(some(0.3, count, 1, 1, like=mel) > 0, cut, torch.full_like(cut, 1e3))
    mel = torch.where(band > cut, floor + torch.rand_like(mel), mel)
    # A codec leaves bands out for a while.
    holes = F.interpolate(torch.rand(count, 1, length // 4 + 1, 10, device=mel.device), size=(length, bands))[:, 0]
    chance = some(0.3, count, 1, 1, like=mel) * uniform(0, 0.3, count, 1, 1, like=mel)
    return torch.where(holes < chance, floor, mel)


def standardised_mel(mel: Tensor, frames: Tensor) -> Tensor:
    """Log-mels (B, T, 80) with mean 0 in each band of a clip, and deviation 1 in the clip; 0 beyond ``frames`` (B,)."""
    valid = (torch.arange(mel.shape[1], device=mel.device) < frames[:, None])[..., None].to(mel.dtype)
    part = valid.mean(1, keepdim=True).clamp_min(1e-6)
    mel = (mel - (mel * valid).mean(1, keepdim=True) / part) * valid
    deviation = (mel.square().mean((1, 2), keepdim=True) / part).sqrt()
    return mel / deviation.clamp_min(1e-2)
