import numpy as np
import pytest

from slts.data import faces, media
from slts.data.clip import Reject


def test_a_detector_is_one_function_and_one_line(monkeypatch):
    boxes = np.float32([[100, 50, 200, 150], [np.nan] * 4, [110, 50, 210, 150], [104, 52, 204, 152]])
    monkeypatch.setitem(faces.DETECTORS, "fixed", lambda frames: boxes)
    frames = np.zeros((4, 240, 320, 3), np.uint8)
    _, geometry = faces.crop(frames, "fixed", "mouth", 32)
    # median box 104..204 x 50..150: width 100, centre x 154, mouth at 50 + 79 = 129, side 56
    assert geometry == {
        "detector": "fixed",
        "region": "mouth",
        "box": [104.0, 50.0, 204.0, 150.0],
        "square": [126, 101, 56],
    }
    _, geometry = faces.crop(frames, "fixed", "face", 32)
    assert geometry["square"] == [94, 40, 120]


def test_the_square_stays_inside_the_picture(monkeypatch):
    monkeypatch.setitem(faces.DETECTORS, "edge", lambda frames: np.float32([[0, 100, 200, 300]]))
    frames = np.arange(240, dtype=np.uint8)[None, :, None, None] * np.ones((1, 1, 320, 3), np.uint8)
    crop, geometry = faces.crop(frames, "edge", "mouth", 112)
    assert geometry["square"] == [44, 128, 112]
    assert np.array_equal(crop[0, :, 0, 0], np.arange(128, 240))


def test_none_takes_the_centre_square_by_area():
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[:, :, 10:50:2] = 200  # stripes one pixel wide average out, and nothing outside the square counts
    frames[:, :, :10] = 255
    crop, geometry = faces.crop(frames, "none", "mouth", 20)
    assert geometry["square"] == [10, 0, 40]
    assert crop.shape == (2, 20, 20, 3) and (crop == 100).all()


def test_no_face():
    noise = np.random.default_rng(0).integers(0, 255, (9, 120, 160, 3), dtype=np.uint8)
    with pytest.raises(Reject) as caught:
        faces.crop(noise, "cascade", "mouth", 72)
    assert caught.value.reason == "no_face"


@pytest.mark.parametrize("speaker", ["s1", "s26", "s31"])
def test_cascade_finds_the_speaker(grid, speaker):
    frames = media.read_picture(sorted((grid / speaker).glob("*.mpg"))[3]).frames
    boxes = faces.detect(frames, "cascade")
    assert boxes.shape == (75, 4) and boxes.dtype == np.float32
    found = boxes[~np.isnan(boxes).any(1)]
    assert 4 <= len(found) <= faces.SAMPLED
    left, top, right, bottom = np.median(found, axis=0)
    assert 60 < left < 180 < right < 300 and 30 < top < 144 < bottom < 288
    assert 90 < right - left < 190
    # the same face in a larger picture
    large = np.repeat(np.repeat(frames[::12], 3, axis=1), 3, axis=2)
    again = np.nanmedian(faces.detect(large, "cascade"), axis=0) / 3
    assert np.abs(again - [left, top, right, bottom]).max() < 12
