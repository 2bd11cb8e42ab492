"""What slts demo answers, without a browser: verdicts against examples whose truth is known, and hostile uploads."""

import os
import sys

import numpy as np
import pytest
import soundfile
from flash_and_beep import beep, flash_frames, write_video

from slts.cli import run
from slts.demo.answers import Bounds, admit, dub_answer, offset_answer, speech_answer, verdict_of
from slts.demo.examples import IN_SYNC, LATE, LATE_MS, SPEECH, WRONG, draw_examples
from slts.errors import UserError
from slts.offsets.alignment import offset_of
from slts.offsets.finding import Finding
from slts.offsets.shipped import load_shipped
from slts.offsets.verdict import STANDARDS
from slts.systems.trained import load_run

BOUNDS = Bounds(max_mb=1, max_seconds=3.0)


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> dict:
    return draw_examples(tmp_path_factory.mktemp("examples"))


def test_the_late_example_fails_and_its_mended_video_passes(examples, tmp_path):
    limits = STANDARDS["ebu_r37"]
    answer = offset_answer(load_shipped(), examples[LATE], limits, None, tmp_path)
    assert answer.word == "FAIL" and "lags the audio" in answer.sentence and "does not allow" in answer.sentence
    assert answer.curve.read_bytes().startswith(b"\x89PNG")
    before, after = offset_of(examples[LATE]), offset_of(answer.mended)
    assert abs(before.offset_ms - LATE_MS) < 50 and abs(after.offset_ms) < 10
    assert verdict_of(after, limits)[0] == "PASS"


def test_a_sound_that_does_not_fit_has_no_verdict_and_no_repair(examples, tmp_path):
    answer = offset_answer(load_shipped(), examples[WRONG], STANDARDS["itu_bt1359"], None, tmp_path)
    assert answer.word == "CANNOT TELL" and answer.mended is None and answer.curve.exists()


def test_what_has_no_offset_is_said_in_plain_words(tmp_path):
    finding = Finding(tmp_path / "a.mp4", "a", cannot_tell="no_audio: there is no audio stream")
    assert verdict_of(finding, None) == ("CANNOT TELL", "No offset can be told: there is no sound in it.")


def test_a_silent_head_speaks_and_another_says_other_words(examples, speaking, drawing, tmp_path):
    run = load_run(speaking)
    spoken = speech_answer(run, examples[IN_SYNC], run.corpus["speakers"][1], "cascade", tmp_path)
    sound, rate = soundfile.read(spoken.sound)
    assert rate == 16000 and abs(len(sound) / rate - 128 / 25) < 0.05
    assert spoken.film.exists() and spoken.mel.read_bytes().startswith(b"\x89PNG")
    dubbed = dub_answer(load_run(drawing), examples[IN_SYNC], examples[SPEECH], "cascade", tmp_path)
    assert dubbed.film.exists() and dubbed.sentence.startswith("128 pictures")


def hostile(folder) -> dict[str, tuple[str, bool]]:
    """Uploads by the words of their refusal; whether they are dropped as sounds."""
    video = folder / "long.mp4"
    write_video(video, flash_frames(4, 0.4), beep(4, 0.4), codecs=("libx264", "aac"))
    (folder / "empty.mp4").touch()
    (folder / "junk.mp4").write_bytes(os.urandom(5000))
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    with (folder / "giant.mp4").open("wb") as file:
        file.truncate(2_000_000)
    os.mkfifo(folder / "pipe.mp4")
    soundfile.write(folder / "long.wav", np.zeros(16000 * 5), 16000)
    (folder / "junk.wav").write_bytes(b"RIFF")
    return {
        "long.mp4": ("longer than the 3 s", False), "empty.mp4": ("has no bytes", False),
        "junk.mp4": ("no video or sound that can be read", False),
        "list.mp4": ("no video or sound that can be read", False), "giant.mp4": ("at most 1 MB", False),
        "pipe.mp4": ("no video or sound that can be read", False), "gone.mp4": ("not there any more", False),
        "long.wav": ("longer than the 3 s", True), "junk.wav": ("no video or sound that can be read", True),
    }  # fmt: skip


def test_hostile_uploads_are_refused_in_one_sentence(tmp_path):
    for name, (words, sound) in hostile(tmp_path).items():
        with pytest.raises(UserError) as refused:
            admit(str(tmp_path / name), "file", BOUNDS, sound)
        said = str(refused.value)
        assert words in said and len(said.splitlines()) == 1 and str(tmp_path) not in said, (name, said)
    with pytest.raises(UserError, match="no video yet"):
        admit(None, "video", BOUNDS)


def test_the_command_says_what_it_misses(speaking, drawing, capsys, monkeypatch):
    assert run("demo", [f"speech={drawing}"]) == 2 and "slts demo speech=" in capsys.readouterr().err
    assert run("demo", ["port=70000"]) == 2 and "port=70000" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert run("demo", []) == 2
    said = capsys.readouterr().err
    assert "pip install 'slts[demo]'" in said and len(said.splitlines()) == 1
