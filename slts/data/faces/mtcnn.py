"""MTCNN (Zhang et al. 2016) as facenet-pytorch has it, whose wheel holds the weights."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import torch

from slts.data.faces.boxes import suppress
from slts.errors import UserError

BATCH = 16
"""Pictures that go through the first network at once."""
INSTALL = "pip install --no-deps facenet-pytorch==2.6.0"
"""Without --no-deps pip would replace torch, numpy and pillow by old ones."""


def load(weights: str | None = None):
    """The detector: pictures (n, H, W, 3) uint8 RGB and the smallest side in pixels to n arrays of boxes (k, 4).

    Raises:
        UserError: the package is not installed.
    """
    network = _package().MTCNN(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def detect(pictures: np.ndarray, smallest: int) -> list[np.ndarray]:
        if min(pictures.shape[1:3]) < smallest:
            return [np.zeros((0, 4), np.float32)] * len(pictures)
        network.min_face_size = smallest
        found = []
        for first in range(0, len(pictures), BATCH):
            found += list(network.detect(pictures[first : first + BATCH])[0])
        return [np.zeros((0, 4), np.float32) if boxes is None else np.asarray(boxes, np.float32) for boxes in found]

    return detect


def _package() -> ModuleType:
    """facenet_pytorch, imported with a stand-in for the one function of torchvision that it uses.

    torchvision does not go with every torch; the stand-in is there only while the package is imported.
    """
    if find_spec("facenet_pytorch") is None:
        raise UserError(f"faces=mtcnn: the package facenet-pytorch is missing; install it with: {INSTALL}")
    if "facenet_pytorch" not in sys.modules:
        names = ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.boxes")
        real = {name: sys.modules.pop(name, None) for name in names}
        sys.modules.update({name: ModuleType(name) for name in names})
        sys.modules["torchvision.transforms"].functional = None
        sys.modules["torchvision.ops.boxes"].batched_nms = _batched_nms
        try:
            import facenet_pytorch  # noqa: F401  # pyright: ignore[reportMissingImports]  installed by hand
        finally:
            for name in names:
                del sys.modules[name]
                if real[name]:
                    sys.modules[name] = real[name]
    return sys.modules["facenet_pytorch"]


def _batched_nms(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, limit: float) -> torch.Tensor:
    """Non-maximum suppression within each group: indices of the boxes kept, best score first."""
    boxes, scores, groups = (tensor.cpu().numpy() for tensor in (boxes, scores, groups))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    kept = np.concatenate([np.zeros(0, np.int64), *(m[suppress(boxes[m], scores[m], limit)] for m in members)])
    return torch.from_numpy(kept[np.argsort(-scores[kept], kind="stable")])
