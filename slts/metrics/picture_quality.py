"""How near drawn pictures are to photographed ones: L1, PSNR and SSIM of arrays in 0..255."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROUNDING = 1 / 12
"""Mean square of the error that rounding to whole grey levels makes; PSNR knows no smaller one, so 58.9 dB is most."""
WINDOW, SPREAD = 11, 1.5
"""Side and standard deviation of SSIM's Gaussian window in pixels."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
LUMA = (0.299, 0.587, 0.114)
"""Of R, G, B (ITU-R BT.601)."""


def l1(truth: np.ndarray, drawn: np.ndarray) -> float:
    """Mean absolute difference of pictures of any equal shape, as a share of the 255 grey levels: 0..1."""
    return float(np.abs(truth.astype(np.float64) - drawn).mean() / 255)


def psnr(truth: np.ndarray, drawn: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of pictures of any equal shape, over all of them together."""
    error = np.square(truth.astype(np.float64) - drawn).mean()
    return float(10 * np.log10(255**2 / max(error, ROUNDING)))


def ssim(truth: np.ndarray, drawn: np.ndarray) -> float:
    """Structural similarity (Wang et al., 2004, eq. 13) of luma: the mean over pictures and places, at most 1.

    The window is their Gaussian of 11 pixels, where it fits into the picture; variances are not corrected for bias.

    Args:
        truth, drawn: (T, C, H, W), RGB or grey, H and W at least 11.
    """
    x, y = (_luma(torch.from_numpy(np.ascontiguousarray(pictures)).double()) for pictures in (truth, drawn))
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x, variance_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return float((alike / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))).mean())


def _luma(pictures: Tensor) -> Tensor:
    """(T, C, H, W) to (T, 1, H, W)."""
    if pictures.shape[1] == 1:
        return pictures
    return (pictures * torch.tensor(LUMA, dtype=pictures.dtype)[:, None, None]).sum(1, keepdim=True)


def _windowed(pictures: Tensor) -> Tensor:
    """Means weighted by the window, (T, 1, H - 10, W - 10)."""
    place = torch.arange(WINDOW, dtype=pictures.dtype) - WINDOW // 2
    taps = torch.exp(-(place**2) / (2 * SPREAD**2))
    taps = taps / taps.sum()
    return functional.conv2d(functional.conv2d(pictures, taps[None, None, :, None]), taps[None, None, None])
