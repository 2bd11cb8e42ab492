"""The stress scripts, small enough for every run of the suite."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import flash_and_beep_table as table
import frame_rate_table
import hostile
import interrupt
import kill_prepare
import numpy as np
import pytest
import yaml
from attacks.scene import Scene
from conftest import ROOT

from slts.data.media import read_clip

pytestmark = pytest.mark.long

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


def test_an_interrupt_ends_a_command_and_its_processes_without_a_word_more(tmp_path, capsys):
    assert interrupt.interrupt(["score"], times=1, seed=0, folder=tmp_path) == 0, capsys.readouterr().out


def test_hostile_files_and_arguments_are_refused_or_survived(tmp_path, capsys):
    held, tried = hostile.assault(tmp_path, every=9)
    assert held == tried >= 24, capsys.readouterr().out


def scene(folder) -> Scene:
    """With files that commands are never given."""
    for part in ("attack", "run/checkpoints/step-00000001"):
        (folder / part).mkdir(parents=True)
    for name in ("config.yaml", "checkpoints/step-00000001/model.safetensors"):
        (folder / "run" / name).write_text("data: shards\n")
    (folder / "run/checkpoints/step-00000001/state.json").write_text('{"files": {}, "sha256": {}}')
    (folder / "plain.mp4").write_bytes(b"video")
    return Scene(folder / "attack", folder / "corpus", folder / "run", "s", folder / "plain.mp4", folder / "canary")


def test_an_attack_that_succeeds_is_counted(tmp_path, monkeypatch):
    base = scene(tmp_path)
    deeds = {
        "executed": base.canary.touch,
        "executed by name": lambda: Path("never").touch(),
        "written": lambda: base.video.write_bytes(b""),
        "left": lambda: (tmp_path / "run" / "new").touch(),
        "raised": lambda: [][0],
        "passed": lambda: None,
    }

    def commit(verb, arguments):
        deeds[verb]()
        return 0

    shutil.rmtree(base.folder)
    monkeypatch.setattr(hostile, "stage", lambda folder: base)
    monkeypatch.setattr(hostile, "run", commit)
    attempts = [hostile.Attack(deed, lambda s, deed=deed: [deed], deed == "passed") for deed in deeds]
    monkeypatch.setattr(hostile, "every_attack", lambda: attempts)
    assert hostile.assault(tmp_path) == (0, len(deeds))


def test_what_the_attacks_hide_does_execute_where_it_is_let(tmp_path, monkeypatch):
    """Careless programs, each in a process of its own, on files that this test has just made."""

    def command_in(text: str) -> None:
        subprocess.run(shlex.split(text[text.index("touch") :].partition(" {name}")[0])[:2], check=True)

    def by_name(s):
        subprocess.run(["sh", "-c", f"ls {next((s.folder / 'raw').rglob('*.mp4'))}"], cwd=s.here, check=False)

    def unpickle(file: Path) -> None:
        subprocess.run([sys.executable, "-m", "pickle", file], check=False, capture_output=True)

    victims = {
        "config: data is a command, evaluate": lambda s: command_in((s.folder / "runs/r/config.yaml").read_text()),
        "config: an object of Python": lambda s: yaml.unsafe_load((s.folder / "runs/r/config.yaml").read_text()),
        "study: an object of Python": lambda s: yaml.unsafe_load((s.folder / "study.yaml").read_text()),
        "study: an experiment outside": lambda s: command_in(
            (conf / yaml.safe_load((s.folder / "study.yaml").read_text())["overrides"][0].partition("=")[2])
            .with_suffix(".yaml")
            .read_text()
        ),
        "checkpoint: weights that are a pickle, evaluate": lambda s: unpickle(
            next((s.folder / "runs/r").rglob("model.safetensors"))
        ),
        "media: named as a command, generate": by_name,
    }
    conf = ROOT / "conf" / "experiment"
    attacks = {attack.name: attack for attack in hostile.every_attack()}
    for number, (name, victim) in enumerate(victims.items()):
        own = scene(tmp_path / str(number))
        attacks[name].command(own)
        own.here.mkdir()
        assert not own.canary.exists()
        victim(own)
        assert own.canary.exists() or any(own.here.iterdir()), name
