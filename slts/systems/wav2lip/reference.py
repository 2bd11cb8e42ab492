"""Which other picture of a person the generator is shown for their looks: ``task.reference``.

The publication takes a random one in training. What the reference shows of its lips leaks into the drawing: one with
another mouth in a similar pose (MuseTalk), or with closed lips (arXiv 2307.09368), leaves the lips to the sound.
"""

import torch
from torch import Tensor

from slts.metrics.mouth_opening import mouth_opening

RANDOM, OTHER_MOUTH, CLOSED_MOUTH = "random", "other_mouth", "closed_mouth"
CANDIDATES = 8
"""Pictures among which is chosen, in training."""


def choose(reference: str, target: Tensor, candidates: Tensor) -> Tensor:
    """Which of the ``candidates`` (n, K, C, H, W) of each ``target`` (n, C, H, W) is shown: indices (n,).

    With another mouth: of the half nearest in the upper half of the picture, the one farthest in the lower.
    """
    if reference == CLOSED_MOUTH:
        return mouth_opening(candidates.flatten(0, 1)).unflatten(0, candidates.shape[:2]).argmin(1)
    apart = (candidates.float() - target[:, None].float()).abs()
    upper = apart.shape[-2] // 2
    pose, mouth = apart[..., :upper, :].mean((2, 3, 4)), apart[..., upper:, :].mean((2, 3, 4))
    near = pose.argsort(1)[:, : max(1, candidates.shape[1] // 2)]
    return near.gather(1, mouth.gather(1, near).argmax(1, keepdim=True)).flatten()


def references_of(reference: str, pictures: Tensor) -> Tensor:
    """What is shown for each of the ``pictures`` (n, C, H, W) of a clip: indices (n,) among them.

    The picture half a clip away, since what a picture itself shows of its lips would be copied; or the one with the
    lips closed most, the same for all.
    """
    shown = torch.arange(len(pictures), device=pictures.device)
    if reference == CLOSED_MOUTH:
        return mouth_opening(pictures).argmin().expand(len(pictures))
    return (shown + len(pictures) // 2) % len(pictures)


def one_of(reference: str, pictures: Tensor) -> Tensor:
    """The one of ``pictures`` (r, C, H, W) that is shown for all of a film: (1, C, H, W)."""
    place = int(mouth_opening(pictures).argmin()) if reference == CLOSED_MOUTH else len(pictures) // 2
    return pictures[place : place + 1]
