"""The weights that come with the package, on real people they were never trained on, and on drawn ones."""

import numpy as np
import pytest

from slts.data.dataset import ShardDataset
from slts.data.faces import FaceCrop, crop
from slts.data.media import read_clip
from slts.offsets.estimator import WEIGHTS, OffsetEstimator


@pytest.fixture(scope="module")
def estimator():
    return OffsetEstimator.load()


@pytest.fixture(scope="module")
def strangers(grid):
    """Grey faces, sound and frame rate of three clips of GRID's s31, who is held out."""
    clips = []
    for name in ("bgiq6p", "lbig7s", "prwa4n"):
        clip = read_clip(grid / "s31" / f"{name}.mpg")
        faces, _ = crop(clip.frames, clip.fps, FaceCrop(size=112, track=True))
        clips.append((faces.mean(-1).astype(np.uint8), clip.audio, clip.fps))
    return clips


def cut(video, audio, fps: float, offset_ms: int):
    """The middle of a clip with its picture late by so much."""
    first, count = 10, 55
    begin = round((first / fps + offset_ms / 1000) * 16000)
    return video[first : first + count], audio[begin : begin + round(count / fps * 16000)], fps


def test_they_are_small_and_say_what_they_were_made_of():
    assert WEIGHTS.stat().st_size < 2e6
    card = (WEIGHTS.parent / "README.md").read_text()
    assert "CC BY 4.0" in card and "Apache-2.0" in card


def test_injected_offsets_of_strangers_are_found(estimator, strangers):
    for clip in strangers:
        itself = estimator.measure(*cut(*clip, 0)).offset_ms
        assert abs(itself) < 50
        for injected in (-280, -90, 170, 300):
            found = estimator.measure(*cut(*clip, injected))
            assert found.offset_ms - itself == pytest.approx(injected, abs=15)


def test_the_sound_of_another_sentence_of_the_same_person_is_not_believed(estimator, strangers):
    own = [estimator.measure(*clip) for clip in strangers]
    wrong = [
        estimator.measure(video, other, fps)
        for i, (video, _, fps) in enumerate(strangers)
        for j, (_, other, _) in enumerate(strangers)
        if i != j
    ]
    assert sum(measured.sure for measured in own) >= 2  # not all can be told
    assert not any(measured.sure for measured in wrong)


def test_nothing_is_told_of_a_still_picture_silence_or_noise(estimator, strangers):
    video, audio, fps = strangers[0]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    for picture, sound in ((video[:1].repeat(len(video), 0), audio), (video, 0 * audio), (video, noise)):
        measured = estimator.measure(picture, sound, fps)
        assert not measured.sure and np.isfinite(measured.offset_ms)


def test_drawn_mouths_are_read_too(estimator, tiny_corpus):
    """The generated corpus stores mouths, not faces: the view is the whole picture."""
    dataset, errors = ShardDataset(tiny_corpus, "train", 72, 1), []
    face = estimator.task.centre, estimator.task.side
    estimator.task.centre, estimator.task.side = (0.5, 0.5), 1.0
    for number in range(8):
        clip = dataset[0, number]
        found = estimator.measure(clip["video"][:, 0].numpy(), clip["audio"].numpy(), clip["fps"])
        errors.append(found.offset_ms - clip["offset_ms"])
    estimator.task.centre, estimator.task.side = face
    assert np.median(np.abs(errors - np.median(errors))) < 20
