"""The shipped estimator as the run that ``slts offsets`` takes where none is given."""

import numpy as np
import pytest
import torch

from slts.data.faces import FaceCrop, crop
from slts.data.media import read_clip
from slts.errors import UserError
from slts.offsets import shipped
from slts.offsets.shipped import CROP, load_shipped
from slts.systems.videos import as_batch


def test_it_is_a_system_with_a_threshold():
    run = load_shipped()
    assert run.task.gives == ("offsets",) and 0 < run.task.sure_above < 1 and run.task.fps is None
    assert not any(module.training for module in run.task.modules())


def test_weights_that_are_not_whole_are_one_line(tmp_path, monkeypatch):
    damaged = tmp_path / "w.safetensors"
    damaged.write_bytes(shipped.WEIGHTS.read_bytes()[:1000])
    monkeypatch.setattr(shipped, "WEIGHTS", damaged)
    with pytest.raises(UserError, match="no weights of an offset estimator"):
        load_shipped.__wrapped__()


def test_a_clip_too_short_has_no_offset():
    run = load_shipped()
    frames = np.random.default_rng(0).integers(0, 255, (12, 112, 112, 3), np.uint8)
    found = run.task.offsets(as_batch(run, frames, 25.0, 0, np.zeros(12 * 640, np.float32)))
    assert torch.isnan(found.ms[0]) and float(found.confidence[0]) == 0


def test_a_strangers_offset_is_told_and_the_sound_of_another_clip_is_not_believed(grid):
    run, faces = load_shipped(), []
    for name in ("bgiq6p", "lbig7s", "prwa4n"):
        clip = read_clip(grid / "s31" / f"{name}.mpg")
        crops, _ = crop(clip.frames, clip.fps, FaceCrop(size=112, track=True, detect_rate=CROP["detect_rate"]))
        faces.append((crops, clip.audio))
    own = [run.task.offsets(as_batch(run, crops, 25.0, 0, sound)) for crops, sound in faces]
    wrong = [run.task.offsets(as_batch(run, faces[i][0], 25.0, 0, faces[i - 1][1])) for i in range(3)]
    assert all(abs(float(found.ms[0])) < 60 for found in own)
    assert max(float(found.confidence[0]) for found in own) > run.task.sure_above
    assert all(float(found.confidence[0]) <= run.task.sure_above for found in wrong)
