"""S3FD (Zhang et al. 2017, arXiv 1708.05237), the detector of the Lip2Wav and SLTS papers.

The network is written out here under the names that the published weights ``s3fd-619a316812.pth`` have, so that nothing
but that file is needed.
"""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from slts.data.faces.boxes import suppress
from slts.errors import UserError

FILE = "s3fd-619a316812.pth"
URL = f"https://www.adrianbulat.com/downloads/python-fan/{FILE}"
MEAN = (104.0, 117.0, 123.0)
"""Subtracted from blue, green and red, 0-255."""
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""VGG16: channels and number of 3 x 3 convolutions."""
HEADS = (
    ("conv3_3_norm", 256),
    ("conv4_3_norm", 512),
    ("conv5_3_norm", 512),
    ("fc7", 1024),
    ("conv6_2", 512),
    ("conv7_2", 256),
)
"""Feature maps with a detection head and their channels; strides 4, 8, ... 128, and anchors of four strides."""
VARIANCES = 0.1, 0.2
"""Units of the predicted shift of centre (in anchors) and logarithm of side."""
SCORE, SAME = 0.5, 0.3
"""Least probability of a face, and largest overlap of two."""


class ChannelNorm(nn.Module):
    """Scales each pixel's feature vector (N, C, H, W) to a learned length a channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) * self.weight[:, None, None]


class S3FD(nn.Module):
    """(N, 3, H, W) float, BGR 0-255 less MEAN, to one (logits (N, 2, h, w), shifts (N, 4, h, w)) for each of HEADS."""

    def __init__(self):
        super().__init__()
        width = 3
        for stage, (channels, depth) in enumerate(STAGES, 1):
            for layer in range(1, depth + 1):
                self.add_module(f"conv{stage}_{layer}", nn.Conv2d(width, channels, 3, padding=1))
                width = channels
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for name, channels in HEADS:
            if name.endswith("_norm"):
                self.add_module(name, ChannelNorm(channels))
            # The finest map has three kinds of background, of which the likeliest counts (section 3.3).
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(channels, 4 if name == HEADS[0][0] else 2, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))

    def forward(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        maps = []
        for stage, (_, depth) in enumerate(STAGES, 1):
            for layer in range(1, depth + 1):
                x = F.relu(self.get_submodule(f"conv{stage}_{layer}")(x))
            if stage >= 3:
                maps.append(self.get_submodule(f"conv{stage}_{depth}_norm")(x))
            x = F.max_pool2d(x, 2)
        for first, second in (("fc6", "fc7"), ("conv6_1", "conv6_2"), ("conv7_1", "conv7_2")):
            x = F.relu(self.get_submodule(second)(F.relu(self.get_submodule(first)(x))))
            maps.append(x)
        found = []
        for (name, _), features in zip(HEADS, maps, strict=True):
            logits = self.get_submodule(f"{name}_mbox_conf")(features)
            background = logits[:, :-1].amax(1, keepdim=True)
            shifts = self.get_submodule(f"{name}_mbox_loc")(features)
            found.append((torch.cat([background, logits[:, -1:]], 1), shifts))
        return found


def boxes_of(logits: torch.Tensor, shifts: torch.Tensor, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (k, 4) in pixels and their probabilities (k,) of one map's (2, h, w) logits and (4, h, w) shifts."""
    probability = logits.softmax(0)[1]
    row, column = torch.nonzero(probability > SCORE, as_tuple=True)
    anchor = 4 * stride
    middle = torch.stack([column, row]) * stride + stride / 2 + shifts[:2, row, column] * VARIANCES[0] * anchor
    half = anchor / 2 * torch.exp(shifts[2:, row, column] * VARIANCES[1])
    return torch.cat([middle - half, middle + half]).T.cpu().numpy(), probability[row, column].cpu().numpy()


def load(weights: str | None = None):
    """The detector: pictures (n, H, W, 3) uint8 RGB and the smallest side in pixels to n arrays of boxes (k, 4).

    Args:
        weights: path of the published weights; None looks in torch hub's cache.

    Raises:
        UserError: no such file, or not these weights.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = read_network(Path(weights) if weights else Path(torch.hub.get_dir(), "checkpoints", FILE)).to(device)
    mean = torch.tensor(MEAN, device=device)[:, None, None]

    @torch.inference_mode()
    def detect(pictures: np.ndarray, smallest: int) -> list[np.ndarray]:
        found = []
        for picture in pictures:
            bgr = torch.from_numpy(picture[..., ::-1].copy()).to(device).permute(2, 0, 1) - mean
            parts = [
                boxes_of(logits[0], shifts[0], 4 * 2**level)
                for level, (logits, shifts) in enumerate(network(bgr[None]))
            ]
            boxes, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
            boxes = boxes[suppress(boxes, scores, SAME)]
            found.append(boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= smallest].astype(np.float32))
        return found

    return detect


def read_network(path: Path) -> S3FD:
    """The network with the weights of a file, read without running anything in it. Raises UserError."""
    if not path.is_file():
        raise UserError(f"faces=s3fd: no weights at {path}; download {URL} and give its path as s3fd_weights=PATH")
    network = S3FD()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, AttributeError, TypeError, EOFError, OSError):
        raise UserError(f"s3fd_weights={path}: not the S3FD weights that {URL} holds; download them again") from None
    return network.eval()
