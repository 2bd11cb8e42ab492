"""How far a mouth is open, read off pictures: what is dark between the lips, and light where teeth are.

No landmarks are needed, so that it works on small and on drawn faces. On faces of the generated corpus it follows the
opening that was drawn (tests/metrics/test_mouth_opening.py); on others it is a relative measure within one clip.
"""

from torch import Tensor

TOP, BOTTOM, SIDE = 0.6, 0.9, 0.25
"""The mouth's place in a ``face`` square: rows as shares of its height, and what is left out at either side."""


def mouth_opening(pictures: Tensor) -> Tensor:
    """(n,) from 0 on: the mean darkness of the mouth's place below its median, in shares of that median.

    pictures: (n, C, H, W) of one person, uint8 or 0..1, cut with region=face.
    """
    height, width = pictures.shape[-2:]
    side = round(SIDE * width)
    place = pictures[..., round(TOP * height) : round(BOTTOM * height), side : width - side].float().mean(1).flatten(1)
    middle = place.median(1, keepdim=True).values.clamp_min(1e-6)
    return ((middle - place).clamp_min(0) / middle).mean(1)


def motion_agreement(recorded: Tensor, drawn: Tensor) -> tuple[float | None, float | None]:
    """How drawn mouths move with the recorded ones over time: Pearson's correlation of their openings, and the standard
    deviation of the drawn one as a share of the recorded one's.

    A mouth that stands still has correlation 0; both are None where the recorded one does. Pictures (T, C, H, W).
    """
    truth, found = (mouth_opening(pictures).double() for pictures in (recorded, drawn))
    truth, found = truth - truth.mean(), found - found.mean()
    spread, moved = float(truth.square().mean().sqrt()), float(found.square().mean().sqrt())
    if spread < 1e-9:
        return None, None
    together = float((truth * found).mean()) / (spread * moved) if moved > 1e-9 else 0.0
    return together, moved / spread
