"""Everyone in a video followed, on drawn faces and on boxes given by hand."""

import numpy as np
import pytest
from drawn_faces import scene

from slts.data.faces import FaceCrop, cut, people
from slts.data.faces.people import Thresholds, face_tracks, scene_starts


def given(monkeypatch, boxes: list[list]):
    """A detector that finds these boxes, one list a picture."""
    monkeypatch.setattr(people, "_boxes", lambda pictures, how, limits: [np.float32(b).reshape(-1, 4) for b in boxes])


STILL = np.full((100, 40, 60, 3), 90, np.uint8)
FACE, OTHER = [5, 5, 25, 25], [35, 5, 55, 25]
LIMITS = Thresholds(shortest=1.0, smallest_face=10, largest_gap=0.4)


def stretches(frames=STILL, limits=LIMITS):
    return [(track.first, track.last) for track in face_tracks(frames, 25, FaceCrop(size=16), limits)]


def test_two_people_are_two_tracks_the_longer_first(monkeypatch):
    given(monkeypatch, [[FACE, OTHER] if i < 60 else [OTHER] for i in range(100)])
    assert stretches() == [(0, 100), (0, 60)]


def test_gaps_are_bridged_up_to_the_limit(monkeypatch):
    given(monkeypatch, [[] if 40 <= i < 50 else [FACE] for i in range(100)])
    assert stretches() == [(0, 100)]
    given(monkeypatch, [[] if 40 <= i < 51 else [FACE] for i in range(100)])
    assert stretches() == [(51, 100), (0, 40)]


def test_short_and_small_faces_are_left_out(monkeypatch):
    given(monkeypatch, [[FACE] if i < 24 else [] for i in range(100)])
    assert stretches() == []
    given(monkeypatch, [[FACE] if i < 25 else [] for i in range(100)])
    assert stretches() == [(0, 25)]
    given(monkeypatch, [[[5, 5, 14, 14]]] * 100)
    assert stretches() == []


def test_a_track_ends_where_the_scene_does(monkeypatch):
    cut_after_50 = STILL.copy()
    cut_after_50[50:] = (250, 20, 20)
    assert scene_starts(cut_after_50, 27).tolist() == [50]
    given(monkeypatch, [[FACE]] * 100)
    assert stretches(cut_after_50) == [(0, 50), (50, 100)]


def test_grids_clips_are_kept_by_one_preset_only():
    from slts.config import compose

    kept = {}
    for name in ("published", "short_clips"):
        config, _ = compose("offsets", ["data=x", f"tracks={name}"])
        limits = Thresholds.of(config.tracks)
        kept[name] = limits.shortest <= 3.0 and limits.smallest_face < 130
    assert kept == {"published": False, "short_clips": True}
    assert Thresholds.of(config.tracks) == Thresholds()


@pytest.mark.parametrize("region", ["face", "syncnet"])
def test_drawn_faces_are_found_and_cut(region):
    frames = np.stack([scene([(80 + i, 110, 40), (240, 110, 30)]) for i in range(30)])
    how = FaceCrop(region=region, size=64)
    first, second = sorted(face_tracks(frames, 25, how, Thresholds()), key=lambda t: t.geometry["box"][0])
    assert (first.first, first.last) == (0, 30)
    assert cut(frames, first.geometry, 64).shape == (30, 64, 64, 3)
    left = [square[0] for square in first.geometry["squares"]]
    assert 8 <= left[-1] - left[0] <= 35  # it follows, smoothed
    assert second.geometry["box"][0] > 180


def test_the_square_of_syncnet_is_wider_and_lower():
    frames = np.stack([scene([(160, 110, 30)])] * 30)
    squares = {}
    for region in ("face", "syncnet"):
        [track] = face_tracks(frames, 25, FaceCrop(region=region, size=64), Thresholds())
        squares[region] = track.geometry["squares"][0]
    (x, y, side), (wide_x, wide_y, wide_side) = squares["face"], squares["syncnet"]
    assert wide_side / side == pytest.approx(1.4 / 1.1, abs=0.02)
    assert (wide_y + wide_side / 2) - (y + side / 2) == pytest.approx(0.22 * side / 1.2, abs=3)
    assert wide_x + wide_side / 2 == pytest.approx(x + side / 2, abs=1)
