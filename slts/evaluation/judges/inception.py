"""FID of drawn pictures, where the user gives the weights of its Inception network (torch-fidelity's file)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slts.errors import UserError
from slts.metrics.frechet import Moments, frechet_distance, sum_of

FEATURES = 2048
AT_ONCE = 32


class Inception:
    """Collects features of recorded and drawn pictures.

    Args:
        file: weights-inception-2015-12-05 of torch-fidelity, which pytorch-fid's are the same numbers as.
        device: where the network works.

    Raises:
        UserError: torch-fidelity is not installed, or the file holds something else.
    """

    def __init__(self, file: str, device: torch.device):
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import (  # pyright: ignore[reportMissingImports]  an extra
                FeatureExtractorInceptionV3,
            )
        except ImportError:
            raise UserError("inception= needs torch-fidelity: pip install 'slts[fid]'") from None
        try:
            torch.load(Path(file), map_location="cpu", weights_only=True)  # the package would execute a pickle
            network = FeatureExtractorInceptionV3("inception-v3-compat", [str(FEATURES)], file)
        except Exception as error:  # a damaged file may raise anything
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise UserError(f"inception={file}: no weights of FID's Inception network ({reason})") from None
        self.network, self.device = network.to(device).eval(), device
        self.recorded, self.drawn = Moments(FEATURES), Moments(FEATURES)

    def add(self, recorded: Tensor, drawn: Tensor) -> None:
        """Pictures (n, C, H, W) uint8."""
        self.recorded.add(self._features(recorded))
        self.drawn.add(self._features(drawn))

    @property
    def moments(self) -> tuple[Moments, Moments]:
        """Of the recorded and of the drawn pictures."""
        return self.recorded, self.drawn

    def take_all(self, moments: list[tuple[Moments, Moments]]) -> None:
        """What every process has collected, this one's among them."""
        self.recorded, self.drawn = map(sum_of, zip(*moments, strict=True))

    @property
    def fid(self) -> float | None:
        return frechet_distance(self.recorded, self.drawn)

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> np.ndarray:
        pieces = pictures.expand(-1, 3, -1, -1).to(self.device).split(AT_ONCE)
        return torch.cat([self.network(piece)[0] for piece in pieces]).cpu().numpy()
