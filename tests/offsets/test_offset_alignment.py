"""Whole videos of a drawn talker with known offsets: found, told apart from wrong sounds, taken out, measured again."""

import json

import av
import numpy as np
import pytest
from envelope_talker import envelope_run, talker

from slts.data.faces.people import Thresholds
from slts.data.media.sidecar import sidecar
from slts.errors import UserError
from slts.offsets.alignment import align, offset_of
from slts.offsets.curve import VideoEstimator
from slts.offsets.finding import find_offset

MINUTES = 3


def measured(path, sure_above=0.7, **options):
    return offset_of(path, run=envelope_run(sure_above), **options)


def packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


@pytest.mark.parametrize("ms", [-160, 0, 120])
def test_a_short_clip_is_one_window(ms, tmp_path):
    found = measured(talker(tmp_path / "a.mp4", 4, lambda s: ms / 1000, codecs=("libx264", "aac")))
    assert found.sure and found.cannot_tell is None and len(found.curve.windows) == 1
    assert found.offset_ms == pytest.approx(ms, abs=20) and found.course.kind == "constant"


def test_the_wrong_sound_is_no_offset(tmp_path):
    for seconds in (4, 60):
        found = measured(talker(tmp_path / f"{seconds}.mkv", seconds, lambda s: 0, face=7))
        assert found.course is None and found.offset_ms is None and not found.sure
        assert found.cannot_tell.split(":")[0] in ("unsure", "beyond")
        assert len(found.curve.told) <= 0.1 * len(found.curve.windows)


def test_without_a_threshold_agreement_of_windows_decides(tmp_path):
    right = measured(talker(tmp_path / "r.mkv", 40, lambda s: 0.08), sure_above=None)
    assert right.sure and right.offset_ms == pytest.approx(80, abs=10)
    wrong = measured(talker(tmp_path / "w.mkv", 40, lambda s: 0, face=9), sure_above=None)
    assert not wrong.sure and wrong.cannot_tell.startswith(("unsure", "beyond"))
    short = measured(talker(tmp_path / "s.mkv", 4, lambda s: 0.08), sure_above=None)
    assert not short.sure and short.offset_ms == pytest.approx(80, abs=20)  # given, but nobody vouches for it
    assert measured(tmp_path / "s.mkv", sure_above=None, above_confidence=0.5).sure


@pytest.mark.parametrize(("options", "word"), [({"still": True}, "still"), ({"silent": True}, "silence")])
def test_silence_and_stills_are_said(options, word, tmp_path):
    found = measured(talker(tmp_path / "a.mkv", 20, lambda s: 0, **options))
    assert found.offset_ms is None and found.cannot_tell.startswith(f"{word}: ")


def test_an_offset_beyond_the_search_is_no_number(tmp_path):
    found = measured(talker(tmp_path / "a.mkv", 20, lambda s: 0.9))
    assert found.offset_ms is None and found.cannot_tell.split(":")[0] in ("beyond", "unsure")


def test_a_drift_is_found_repaired_and_gone(tmp_path):
    source = talker(tmp_path / "a.mp4", 60 * MINUTES, lambda s: -0.06 + 0.04 * s / 60, codecs=("libx264", "aac"))
    found = measured(source)
    assert found.course.kind == "drift" and found.sure
    at = np.array([10, 90, 170])
    np.testing.assert_allclose(found.course.at(at), -60 + 40 * at / 60, atol=10)
    out = tmp_path / "b.mp4"
    align(source, out, found)
    again = measured(out)
    assert np.abs(again.course.extremes).max() < 10 and packets(out) == packets(source)
    assert json.loads(sidecar(out).read_text())["stretches"][0]["ratio"] == pytest.approx(1 + 40 / 60000, abs=1e-4)


@pytest.mark.parametrize(("before", "after"), [(-60, 100), (100, -60)])
def test_a_jump_is_found_repaired_and_gone(before, after, tmp_path):
    def lag(seconds):
        return (before if seconds < 95.3 else after) / 1000

    source = talker(tmp_path / "a.mkv", 60 * MINUTES, lag)
    found = measured(source)
    assert found.course.kind == "jumps" and found.sure and len(found.course.jumps) == 1
    place, *sides = found.course.jumps[0]
    assert place == pytest.approx(95.3, abs=1) and sides == [
        pytest.approx(before, abs=10),
        pytest.approx(after, abs=10),
    ]
    align(source, tmp_path / "b.mkv", found)
    again = measured(tmp_path / "b.mkv")
    assert again.course.kind == "constant" and abs(again.offset_ms) < 10
    assert packets(tmp_path / "b.mkv") == packets(source)


def test_a_constant_is_moved_without_encoding_and_measured_again(tmp_path):
    source = talker(tmp_path / "a.mp4", 12, lambda s: 0.12, codecs=("libx264", "aac"))
    found = align(source, tmp_path / "b.mp4", run=envelope_run())
    assert found.offset_ms == pytest.approx(120, abs=10)
    assert measured(tmp_path / "b.mp4").offset_ms == pytest.approx(0, abs=10)
    assert align(source, tmp_path / "c.mp4", 120.0) == 120.0 and packets(tmp_path / "c.mp4") == packets(source)


def test_what_cannot_be_told_is_not_repaired(tmp_path):
    source = talker(tmp_path / "a.mkv", 4, lambda s: 0, silent=True)
    with pytest.raises(UserError, match="no offset to take out \\(silence"):
        align(source, tmp_path / "b.mkv", run=envelope_run())
    with pytest.raises(UserError, match="no such file"):
        offset_of(tmp_path / "none.mp4", run=envelope_run())
    assert not (tmp_path / "b.mkv").exists()


def test_pauses_and_lost_pictures_are_gaps_of_the_curve(tmp_path):
    source = talker(tmp_path / "a.mkv", 30, lambda s: 0.08)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.7)])
    estimator = VideoEstimator(envelope_run(), Thresholds())
    found = find_offset(estimator, cut, progress=False)
    assert found.cannot_tell or found.offset_ms == pytest.approx(80, abs=20)
    assert find_offset(estimator, source, progress=False).curve.length == pytest.approx(30, abs=0.1)
