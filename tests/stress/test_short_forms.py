"""The stress scripts, small enough for every run of the suite."""

import flash_and_beep_table as table
import frame_rate_table
import hostile
import kill_prepare
import numpy as np
import pytest

from slts.data.media import read_clip

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


def test_the_measure_sees_sound_that_is_two_milliseconds_late(tmp_path, monkeypatch):
    def late(*arguments, **options):
        clip = read_clip(*arguments, **options)
        clip.audio = np.roll(clip.audio, 32)
        return clip

    monkeypatch.setattr(table, "read_clip", late)
    case, path, fps = table.CASES[0], tmp_path / "source.mkv", table.RATES["25"]
    row = table.measure(path, table.write_source(path, case, fps, 9.0), case, fps, 3.0)
    assert row.beep == pytest.approx(0.002, abs=2e-4) and row.together == pytest.approx(0.002, abs=2e-4)


@pytest.mark.parametrize("fps", [None, 25.0])
@pytest.mark.parametrize("name", frame_rate_table.RATES)
def test_what_is_filmed_at_any_rate_is_read_in_time(tmp_path, name, fps):
    rate = frame_rate_table.RATES[name]
    times = np.arange(int(4 * rate)) / rate
    lag = frame_rate_table.shown_lag(tmp_path / "a.mov", np.arange(len(times)), times, times, fps)
    assert abs(lag) < frame_rate_table.BAR
    shown = frame_rate_table.repeated(100, rate)
    times = np.arange(len(shown)) / rate
    lag = frame_rate_table.shown_lag(tmp_path / "a.mov", np.arange(len(times)), shown / 25, times, fps)
    explained = 0 if fps else (40 - 1000 / rate) / 2  # a repeated picture stands still for that much longer
    assert lag == pytest.approx(explained, abs=2)


def test_kills_leave_only_whole_and_equal_shards(tmp_path):
    assert kill_prepare.kill_and_compare(times=1, clips=15, seed=1, folder=tmp_path) == 1


def test_hostile_files_and_arguments_are_refused_or_survived(tmp_path, monkeypatch, capsys):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # whatever is written into the current folder is seen
    (tmp_path / "attacks").mkdir()
    held, tried = hostile.assault(tmp_path / "attacks", every=9)
    assert held == tried >= 24, capsys.readouterr().out
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_attack_that_succeeds_is_counted(tmp_path, monkeypatch):
    outside = tmp_path / "attacks" / "plain.mp4"
    found = iter(["executed", "written", "passed", "raised"])

    def commit(verb, arguments):
        match next(found):
            case "executed":
                (tmp_path / "attacks" / "canary").touch()
            case "written":
                outside.write_bytes(b"")
            case "raised":
                raise RuntimeError
        return 0

    base = hostile.Scene(*(tmp_path / "attacks" / name for name in ("", "corpus", "runs/r", "plain.mp4", "canary")))
    base.folder.mkdir()
    outside.write_bytes(b"video")
    monkeypatch.setattr(hostile, "stage", lambda folder: base)
    monkeypatch.setattr(hostile, "run", commit)
    survivable = [True, False, True, False]  # must it be refused
    monkeypatch.setattr(
        hostile, "attacks", lambda: [hostile.Attack(str(i), lambda s: ["x"], must) for i, must in enumerate(survivable)]
    )
    assert hostile.assault(base.folder) == (0, 4)
