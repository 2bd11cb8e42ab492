"""The opening of a mouth read off pictures, against the opening that was drawn."""

import numpy as np
import pytest
import torch

from slts.corpora.synthetic.mouth import Pose, render
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.corpora.synthetic.visemes import ARTICULATORS
from slts.metrics.mouth_opening import mouth_opening


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
