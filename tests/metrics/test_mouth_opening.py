"""The opening of a mouth read off pictures, against the opening that was drawn."""

import numpy as np
import pytest
import torch

from slts.corpora.synthetic.mouth import Pose, render
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.corpora.synthetic.visemes import ARTICULATORS
from slts.metrics.mouth_opening import motion_agreement, mouth_opening


@pytest.mark.parametrize("speaker", range(len(SPEAKERS)))
def test_it_follows_the_drawn_opening(speaker):
    opened = np.linspace(0, 1, 20)
    states = np.zeros((20, len(ARTICULATORS)))
    states[:, ARTICULATORS.index("lips")], states[:, ARTICULATORS.index("jaw")] = opened, opened
    pose = Pose(*(np.full(20, value) for value in (0.0, 0.0, 0.0, 1.0, 1.0)))
    drawn = render(states, pose, SPEAKERS[speaker].looks, 48, np.random.default_rng(0)).clip(0, 255)
    found = mouth_opening(torch.from_numpy(drawn).permute(0, 3, 1, 2).to(torch.uint8)).numpy()
    assert np.corrcoef(found, opened)[0, 1] > 0.8


def test_light_does_not_matter_and_a_blank_picture_is_closed():
    picture = torch.full((1, 3, 48, 48), 160.0)
    picture[..., 34:38, 16:32] = 30
    torch.testing.assert_close(mouth_opening(picture), mouth_opening(picture / 2))
    assert float(mouth_opening(torch.full((1, 1, 48, 48), 9, dtype=torch.uint8))) == 0


def test_motion_agrees_with_itself_and_not_with_another():
    opened = (np.sin(np.arange(40) * 0.7) * 5 + 6).astype(int)

    def film(rows) -> torch.Tensor:
        pictures = torch.full((len(rows), 1, 48, 48), 150, dtype=torch.uint8)
        for picture, high in zip(pictures, rows, strict=True):
            picture[:, 36 - high // 2 : 36 + (high + 1) // 2, 16:32] = 20
        return pictures

    assert motion_agreement(film(opened), film(opened)) == pytest.approx((1, 1))
    together, share = motion_agreement(film(opened), film(opened // 2))
    assert together > 0.9 and 0.3 < share < 0.7
    assert motion_agreement(film(opened), film(np.roll(opened, 4)))[0] < 0.3
    assert motion_agreement(film(opened), film([4] * 40)) == (0.0, pytest.approx(0))
    assert motion_agreement(film([4] * 40), film(opened)) == (None, None)
