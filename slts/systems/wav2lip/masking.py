"""What of a face is hidden from the generator, and what of its drawing is taken: ``task.mask``.

The publication hides the lower half and takes the whole drawing. With a soft edge (as MuseTalk blends) the upper half
stays the given one, so that nothing is spent on drawing it and no edge is seen.
"""

import torch
from torch import Tensor

from slts.data.faces.edge import soft_edge, upper_edge


class HalfMask:
    """The lower half of the rows is black; what is drawn is taken whole."""

    def hide(self, pictures: Tensor) -> Tensor:
        """Pictures (..., H, W) in 0..1 without what is to be drawn."""
        masked = pictures.clone()
        masked[..., pictures.shape[-2] // 2 :, :] = 0
        return masked

    def finish(self, drawn: Tensor, pictures: Tensor) -> Tensor:
        """The result of drawing on ``pictures``, both (n, C, H, W) in 0..1."""
        return drawn


class FeatheredMask:
    """The rows fade to black over a tenth of the height; of what is drawn the lower half is taken, with a soft rim."""

    def hide(self, pictures: Tensor) -> Tensor:
        shown = 1 - torch.from_numpy(upper_edge(pictures.shape[-2])).to(pictures)
        return pictures * shown[:, None]

    def finish(self, drawn: Tensor, pictures: Tensor) -> Tensor:
        share = torch.from_numpy(soft_edge(pictures.shape[-2])[..., 0]).to(pictures)
        return share * drawn + (1 - share) * pictures


MASKS = {"half": HalfMask(), "feathered": FeatheredMask()}
