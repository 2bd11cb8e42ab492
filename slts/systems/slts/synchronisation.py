"""The automatic synchronisation mechanism of section 3.3: corrections and losses of DSM and SSM.

Throughout, ``log_p`` (B, 2 K + 1) is the output of an OffsetPredictor, ``mel`` (B, T, bands) a standardised mel and
``lengths`` (B,) its valid frames.
"""

import torch
from torch import Tensor
from torch.nn import functional


def most_likely_offset(log_p: Tensor) -> Tensor:
    """k-hat (B,) int64 in mel frames: argmax over k of P(k)."""
    return log_p.argmax(-1) - (log_p.shape[-1] - 1) // 2


def confidence(log_p: Tensor, offset: Tensor) -> Tensor:
    """(B,) probability within one mel frame of ``offset`` (B,), 0..1."""
    radius = (log_p.shape[-1] - 1) // 2
    near = (torch.arange(-radius, radius + 1, device=offset.device) - offset[:, None]).abs() <= 1
    return (log_p.exp() * near).sum(-1)


def soft_correct(mel: Tensor, log_p: Tensor) -> Tensor:
    """Eq. 3: m^s_i = sum over k of P(-k) m_(i-k), which is the expectation of m_(i+k) under P(k).

    Frames outside [0, T) count as zero and P is not renormalised there, as printed; soft_loss leaves them out. The
    caller applies the stop-gradient of eq. 3 to ``mel``.

    Returns:
        (B, T, bands).
    """
    length, radius = mel.shape[1], (log_p.shape[-1] - 1) // 2
    # Row i of the kernel is P moved right by i: rows one longer than their stride slip by one a row.
    rows = functional.pad(log_p.exp(), (0, length))[:, None].expand(-1, length, -1).flatten(1)
    kernel = rows[:, : length * (length + 2 * radius)].unflatten(1, (length, -1))[..., radius : radius + length]
    return torch.bmm(kernel.to(mel.dtype), mel)


def hard_correct(mel: Tensor, offset: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 5 repaired: m^h_i = m_(i + k-hat).

    Printed are m_(i - k-hat) and a mask for i < k-hat only, which doubles the error: a video that lags (k-hat > 0) has
    its mel late, and frame i of the reference is found at i + k-hat.

    Args:
        mel: (B, T, bands).
        offset: k-hat (B,).
        lengths: (B,).

    Returns:
        the corrected mel (B, T, bands), zero where masked, and its mask (B, T) of valid frames.
    """
    index = torch.arange(mel.shape[1], device=mel.device)
    source = index[None] + offset[:, None]
    end = lengths[:, None]
    valid = (source >= 0) & (source < end) & (index[None] < end)
    source = source.clamp(0, mel.shape[1] - 1)[..., None].expand_as(mel)
    return mel.gather(1, source) * valid[..., None], valid


def masked_mse(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error over the valid frames (B, T) of (B, T, bands); zero when there is none."""
    error = (prediction.float() - target.float()).square().mean(-1)
    return (error * valid).sum() / valid.sum().clamp_min(1)


def masked_l1(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error, as ``masked_mse``."""
    error = (prediction.float() - target.float()).abs().mean(-1)
    return (error * valid).sum() / valid.sum().clamp_min(1)


def spectral_convergence(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Frobenius norm of the difference over that of the target, over the valid frames (B, T) of each clip's
    (B, T, bands); the mean over clips."""
    inside = valid.float()[..., None]
    difference = ((prediction.float() - target.float()) * inside).square().sum((1, 2))
    # The square root has no gradient at zero.
    return (difference.clamp_min(1e-12) / (target.float() * inside).square().sum((1, 2)).clamp_min(1e-6)).sqrt().mean()


def soft_loss(target: Tensor, corrected: Tensor, lengths: Tensor, radius: int) -> Tensor:
    """Eq. 4 over frames K .. T-K-1, where no mass of the kernel of eq. 3 falls outside the clip."""
    index = torch.arange(target.shape[1], device=target.device)
    return masked_mse(corrected, target, (index >= radius) & (index < lengths[:, None] - radius))


def self_synchronisation_loss(log_p: Tensor) -> Tensor:
    """Eq. 7: -log P(k = 0 | F, M-hat), the mean over the batch."""
    return -log_p[:, (log_p.shape[-1] - 1) // 2].mean()
