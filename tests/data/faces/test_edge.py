"""The edge of a lower face that is drawn into a picture."""

import numpy as np
import pytest

from slts.data.faces.edge import soft_edge, upper_edge


def test_the_edge_is_soft_and_the_upper_half_stays():
    edge = soft_edge(100)[..., 0]
    assert edge.min() == 0 and edge.max() == 1 and edge[75, 50] == 1
    assert (edge[:44] == 0).all() and edge[99].max() < 0.01 and edge[:, 0].max() < 0.01
    assert np.abs(np.diff(edge, axis=0)).max() < 0.2 and np.abs(np.diff(edge, axis=1)).max() < 0.2


def test_the_upper_edge_rises_at_the_middle_of_the_face():
    assert upper_edge(100)[[0, 44, 55, 99]].tolist() == [0, 0, 1, 1] and upper_edge(101)[50] == pytest.approx(0.5)
