"""From frames to crops: still and moving squares, geometry that can be redone, several people, gaps."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from drawn_faces import scene

from slts.data import faces, media
from slts.data.clip import Reject
from slts.data.faces import FaceCrop, crop, cut, detect
from slts.data.faces.tracks import one_person


@pytest.fixture
def boxes(monkeypatch):
    """Makes the detector ``fixed`` find the given boxes, one list a picture looked at."""

    def fix(found: list[list[list[float]]]) -> None:
        answers = [np.float32(boxes).reshape(-1, 4) for boxes in found]
        detector = faces.Detector(lambda weights: lambda pictures, smallest: answers, (1.2, 0.5), (0.56, 0.79))
        monkeypatch.setitem(faces.DETECTORS, "fixed", detector)
        faces._load.cache_clear()

    return fix


def black(count: int) -> np.ndarray:
    return np.zeros((count, 240, 320, 3), np.uint8)


def test_a_detector_is_one_function_and_one_line(boxes):
    boxes([[[100, 50, 200, 150]], [], [[110, 50, 210, 150]], [[104, 52, 204, 152]]])
    _, geometry = crop(black(4), 25, FaceCrop("fixed", "mouth", 32))
    # median box 104..204 x 50..150: width 100, centre x 154, mouth at 50 + 79 = 129, side 56
    assert geometry == {
        "detector": "fixed",
        "region": "mouth",
        "box": [104.0, 50.0, 204.0, 150.0],
        "square": [126, 101, 56],
    }
    _, geometry = crop(black(4), 25, FaceCrop("fixed", "face", 32))
    assert geometry["square"] == [94, 40, 120]


def test_the_square_stays_inside_the_picture(boxes):
    boxes([[[0, 100, 200, 300]]])
    frames = np.arange(240, dtype=np.uint8)[None, :, None, None] * np.ones((1, 1, 320, 3), np.uint8)
    crops, geometry = crop(frames, 25, FaceCrop("fixed", "mouth", 112))
    assert geometry["square"] == [44, 128, 112]
    assert np.array_equal(crops[0, :, 0, 0], np.arange(128, 240))


def test_none_takes_the_centre_square_by_area():
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[:, :, 10:50:2] = 200  # stripes one pixel wide average out, and nothing outside the square counts
    frames[:, :, :10] = 255
    crops, geometry = crop(frames, 25, FaceCrop("none", "mouth", 20))
    assert geometry["square"] == [10, 0, 40]
    assert crops.shape == (2, 20, 20, 3) and (crops == 100).all()


def test_no_face():
    noise = np.random.default_rng(0).integers(0, 255, (9, 120, 160, 3), dtype=np.uint8)
    with pytest.raises(Reject) as caught:
        crop(noise, 25, FaceCrop("cascade", "mouth", 72))
    assert caught.value.reason == "no_face"


@pytest.mark.parametrize(("rate", "looks"), [(0.1, 7), (2, 7), (4, 12), (25, 75), (1000, 75)])
def test_looks_at_as_many_pictures_as_asked_for(boxes, rate, looks):
    boxes([[[100, 50, 200, 150]]] * looks)
    places, found = detect(black(75), 25, FaceCrop("fixed", detect_rate=rate))
    assert len(places) == len(found) == looks
    assert (places[0], places[-1]) == (0, 74) and np.ptp(np.diff(places)) <= 1


@pytest.mark.parametrize("missed", [[], [0], [3, 4], [6, 7, 8, 9]])
def test_gaps_are_bridged_up_to_the_limit(boxes, missed):
    """20 looks in 2 s, 0.1 s apart; gaps inside and at both ends count."""
    for shift in (0, 10):
        found = [[] if (i - shift) in missed else [[100, 50, 200, 150]] for i in range(20)]
        boxes(found)
        how = FaceCrop("fixed", detect_rate=10, largest_gap=0.3, track=True)
        if len(missed) == 4:
            with pytest.raises(Reject) as caught:
                crop(black(50), 25, how)
            assert caught.value.reason == "face_gap" and "0.40 s" in caught.value.detail
        else:
            _, geometry = crop(black(50), 25, how)
            assert geometry["squares"] == [[90, 40, 120]] * 50


def test_a_moving_square_follows_between_the_looks_without_jitter(boxes):
    """The face moves by 60 pixels in 2 s and is looked for 11 times, with noise of 2 pixels and one wild box."""
    rng = np.random.default_rng(0)
    left = np.linspace(60, 120, 11) + rng.normal(0, 2, 11)
    looks = [[[x, 50, x + 100, 150]] for x in left]
    looks[5] = [[left[5] + 30, 60, left[5] + 110, 140]]
    boxes(looks)
    _, geometry = crop(black(51), 25, FaceCrop("fixed", "face", 32, track=True, detect_rate=5.3))
    x, _, side = np.array(geometry["squares"]).T
    truth = np.linspace(60, 120, 51) - 10
    assert np.abs(x - truth)[8:-8].max() < 12 and np.abs(np.diff(x)).max() <= 4
    assert (np.diff(x) >= -1).all() and np.abs(side - 120).max() <= 24


@pytest.mark.parametrize("track", [False, True])
def test_crops_can_be_redone_from_the_recorded_geometry(track):
    """A drawn face walks through the picture; the sample's JSON and the video give the same crops again."""
    frames = np.stack([scene([(90 + 2 * i, 110, 40)]) for i in range(30)])
    crops, geometry = crop(frames, 25, FaceCrop("cascade", "mouth", 48, track=track, detect_rate=10))
    assert crops.shape == (30, 48, 48, 3)
    assert np.array_equal(cut(frames, json.loads(json.dumps(geometry)), 48), crops)
    if track:
        x, y, side = np.array(geometry["squares"]).T
        mouth = 90 + 2 * np.arange(30)  # the mouth lies at y + 0.7 radius = 138
        assert np.abs(x + side / 2 - mouth)[5:-5].max() < 5
        assert np.abs(y + side / 2 - 138).max() < 12
    else:
        assert "squares" not in geometry


NO_MTCNN = pytest.mark.skipif(find_spec("facenet_pytorch") is None, reason=faces.mtcnn.INSTALL)


@pytest.mark.parametrize("detector", ["cascade", pytest.param("mtcnn", marks=NO_MTCNN)])
def test_several_people(detector):
    """One person is small and central, one large and at the side; neither is taken for the other anywhere."""
    frames = np.stack([scene([(165 - i, 120, 32), (260 - i, 120, 48), (60 - i, 60, 24)]) for i in range(20)])
    for person, x in (("largest", 260), ("central", 165)):
        places, found = detect(frames, 25, FaceCrop(detector, person=person))
        middles = (found[:, 0] + found[:, 2]) / 2
        assert np.abs(middles - (x - places)).max() < 20, (detector, person)


def test_a_person_is_kept_when_another_grows_larger():
    """Two people, of whom now one and now the other comes nearer: a choice picture by picture would jump."""
    frames = []
    for i in range(24):
        near = 42 + 9 * np.sin(i)
        frames.append(scene([(90, 120, 42), (230, 120, near)]))
    _, found = detect(np.stack(frames), 25, FaceCrop("cascade", detect_rate=25))
    middles = (found[:, 0] + found[:, 2]) / 2
    assert np.ptp(middles) < 12


def test_settings_of_older_corpora_are_completed():
    how = FaceCrop.of({"faces": "cascade", "region": "mouth", "size": 72, "seed": 0})
    assert how == FaceCrop("cascade", "mouth", 72) and not how.track


RECORDED = {
    "s1/bbaf3s.mpg": ([86.0, 102.0, 225.0, 240.0], [72, 88, 167], [116, 172, 78]),
    "s26/bgbsza.mpg": ([99.0, 94.0, 224.0, 219.0], [86, 82, 150], [126, 158, 70]),
}
"""Median box, face square and mouth square of the first release: they must not change by default."""


def test_the_default_crop_of_a_real_clip_is_what_it_was(grid):
    for name, (box, face, mouth) in RECORDED.items():
        clip = media.read_picture(grid / name)
        for region, square in (("face", face), ("mouth", mouth)):
            crops, geometry = crop(clip.frames, clip.fps, FaceCrop(region=region))
            assert (geometry["box"], geometry["square"]) == (box, square)
            assert np.array_equal(crops, cut(clip.frames, geometry, 112))


@pytest.mark.parametrize("speaker", ["s1", "s26", "s31"])
def test_the_cascade_finds_the_speaker(grid, speaker):
    frames = media.read_picture(sorted((grid / speaker).glob("*.mpg"))[3]).frames
    places, boxes = detect(frames, 25, FaceCrop())
    assert len(places) == faces.LOOKS and boxes.dtype == np.float32
    found = boxes[~np.isnan(boxes).any(1)]
    assert len(found) >= 4
    left, top, right, bottom = np.median(found, axis=0)
    assert 60 < left < 180 < right < 300 and 30 < top < 144 < bottom < 288
    assert 90 < right - left < 190
    # the same face in a larger picture
    large = np.repeat(np.repeat(frames[::12], 3, axis=1), 3, axis=2)
    again = np.nanmedian(detect(large, 25, FaceCrop())[1], axis=0) / 3
    assert np.abs(again - [left, top, right, bottom]).max() < 12


def test_who_is_seen_rarely_is_left_out():
    """A large thing that is taken for a face in 4 of 10 pictures is nobody; in 5 of them it is somebody."""
    face, thing = [100, 100, 150, 150], [0, 0, 90, 90]
    for times, left in ((4, 100), (5, 0)):
        found = [np.float32([face, thing] if i < times else [face]) for i in range(10)]
        assert np.nanmax(one_person(found, "largest", 240, 320)[:, 0]) == left


def test_a_box_belongs_to_one_person():
    """Of two people close together one is lost: the other's box is not taken for theirs."""
    left, right = [100, 50, 200, 150], [140, 50, 240, 150]
    found = [np.float32([left, right]), np.float32([left])]
    assert one_person(found, "central", 200, 300)[:, 0].tolist() == [100, 100]
    lost = one_person(found, "central", 200, 380)[:, 0]
    assert lost[0] == 140 and np.isnan(lost[1])
