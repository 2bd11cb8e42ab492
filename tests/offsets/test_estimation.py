"""At which rate videos are read for an estimate."""

from types import SimpleNamespace

import pytest
from flash_and_beep import beep, flash_frames, write_video

from slts.data.clip import Reject
from slts.data.faces.people import Thresholds
from slts.data.media import read_clip
from slts.offsets import curve
from slts.offsets.finding import find_offset


@pytest.mark.parametrize(
    ("prepared", "rates", "frames"),
    [(None, [25], 50), (12.5, [12.5], 25), (None, [25, 50], 100), (None, [], 100)],
)
def test_repeated_frames_are_left_out_where_the_corpus_has_one_rate(tmp_path, monkeypatch, prepared, rates, frames):
    write_video(tmp_path / "a.mkv", flash_frames(2, 0.4).repeat(2, axis=0), beep(2, 0.4), 50)
    read = []

    def looked_at(*arguments, **options):
        read.append(read_clip(*arguments, **options))
        raise Reject("enough")

    monkeypatch.setattr(curve, "read_clip", looked_at)
    run = SimpleNamespace(corpus={"config": {"fps": prepared}, "fps": rates})
    found = find_offset(curve.VideoEstimator(run, Thresholds()), tmp_path / "a.mkv")
    assert found.cannot_tell == "enough" and len(read[0].frames) == frames
