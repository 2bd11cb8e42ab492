"""The stress scripts, small enough for every run of the suite."""

import dataclasses

import flash_and_beep_table as table
import kill_prepare
import pytest

SHORT = [
    ("mkv, sound first", "29.97"),
    ("mkv, variable rate", "25"),
    ("mp4, B-frame and AAC edit lists", "29.97"),
    ("mp4, edit list into a GOP", "30"),
    ("MPEG-PS, B-frames", "25"),
]


@pytest.mark.parametrize(("name", "rate"), SHORT)
def test_every_chunk_is_within_a_millisecond_of_its_source(tmp_path, name, rate):
    case = next(case for case in table.CASES if case.name == name)
    path, fps = tmp_path / f"source{case.suffix}", table.RATES[rate]
    events = table.write_source(path, case, fps, 9.0)
    row = table.measure(path, events, case, fps, 3.0)
    assert row.chunks >= 3 and row.found >= 9 and row.missing == 0
    assert max(row.flash, row.beep, row.together) < table.BAR


def test_the_measure_sees_a_shift_of_two_milliseconds(tmp_path):
    case = dataclasses.replace(table.CASES[0], audio_start=table.Fraction(1, 20))
    path, fps = tmp_path / "source.mkv", table.RATES["25"]
    events = table.write_source(path, dataclasses.replace(case, audio_start=table.Fraction(0)), fps, 9.0)
    shifted = table.write_source(path, dataclasses.replace(case, video_start=table.Fraction(1, 20)), fps, 9.0)
    row = table.measure(path, events, case, fps, 3.0)
    assert abs(shifted[0] - events[0]) == pytest.approx(0.002)
    assert row.beep > 1.5e-3


def test_kills_leave_only_whole_and_equal_shards(tmp_path):
    assert kill_prepare.kill_and_compare(times=1, clips=9, seed=1, folder=tmp_path) == 1
