"""Random changes of a log-mel, so that a recogniser trained on a few hundred clips also hears synthesised speech."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slts.audio.mel import BANDS, FLOOR


def augment(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """A changed copy of a log-mel (T, 80), not normalised, of another length.

    Speed and vocal tract by up to 10 %, start and end moved by up to 0.3 s, blur as of generated mels, noise with a
    random
    tilt 5 to 50 dB below the mean of the speech.
    """
    frames = round(len(mel) * rng.uniform(0.9, 1.1))
    bands = round(BANDS * rng.uniform(0.92, 1.08))
    mel = functional.interpolate(mel[None, None], (frames, bands), mode="bilinear", align_corners=False)[0, 0]
    mel = functional.pad(mel[:, :BANDS], (0, max(0, BANDS - bands)), value=float(np.log(FLOOR)))
    mel = _moved(mel, rng)
    if rng.random() < 0.3:
        mel = _blurred(mel, int(rng.choice([3, 5])), int(rng.choice([1, 3, 5])))
    noise = np.log(float(mel.exp().mean())) - rng.uniform(5, 50) / 20 * np.log(10)
    tilt = torch.linspace(-1, 1, BANDS) * rng.uniform(-1.5, 1.5)
    hiss = 0.5 * torch.from_numpy(rng.standard_normal(mel.shape, dtype=np.float32))
    return torch.logaddexp(mel, noise + tilt + hiss)


def _moved(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames taken from, or silence added to, either end."""
    quiet = mel[mel.mean(1).argmin()]
    for _ in range(2):
        count = int(rng.integers(-10, 31))
        mel = torch.cat([quiet.expand(count, BANDS), mel]) if count >= 0 else mel[-count:]
        mel = mel.flip(0)
    return mel


def _blurred(mel: Tensor, frames: int, bands: int) -> Tensor:
    window = (frames, bands)
    return functional.avg_pool2d(
        mel[None], window, stride=1, padding=(frames // 2, bands // 2), count_include_pad=False
    )[0]
