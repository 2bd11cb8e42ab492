"""Which streams of a file are read, and what is refused before it is opened."""

import os
import socket
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conftest import slts
from flash_and_beep import beep, flash, flash_frames, onset, write_streams, write_video

from slts.data import media
from slts.data.clip import Reject
from slts.data.media import Streams
from slts.data.media.shifting import repair_video
from slts.data.media.streams import unchosen
from slts.errors import UserError
from slts.reporting.sensitivity import read_sound


def apart(clip) -> float:
    return abs(onset(clip.audio) - flash(clip.frames) / clip.fps)


def test_the_default_streams_are_read_and_named(tmp_path):
    pictures, sounds = [flash_frames(2, at) for at in (0.4, 1.2)], [beep(2, at) for at in (0.2, 1.2, 0.8)]
    clip = media.read_clip(write_streams(tmp_path / "a.mkv", pictures, sounds, (1, 1)))
    assert apart(clip) < 1e-3 and flash(clip.frames) == 30
    assert clip.extra["streams"] == {"video": 1, "audio": 1}
    assert media.read_picture(tmp_path / "a.mkv").extra["streams"] == {"video": 1}
    assert media.read_clip(tmp_path / "a.mkv", span=(1.0, 2.0)).frames.mean((1, 2, 3)).argmax() == 5


def test_streams_are_chosen_by_their_number(tmp_path):
    pictures, sounds = [flash_frames(2, at) for at in (0.4, 1.2)], [beep(2, at) for at in (0.2, 1.2, 0.8)]
    path = write_streams(tmp_path / "a.mkv", pictures, sounds, (1, 1))
    chosen = Streams(video=0, audio=2)
    for span in (None, (0.0, 1.9)):
        clip = media.read_clip(path, span=span, streams=chosen)
        assert flash(clip.frames) == 10 and onset(clip.audio) == pytest.approx(0.8, abs=1e-3)
        assert clip.extra["streams"] == {"video": 0, "audio": 2}
    media.mux(path, clip.audio, tmp_path / "out.mp4", chosen)
    assert flash(media.read_picture(tmp_path / "out.mp4").frames) == 10
    assert repair_video(path, 100.0, "test", tmp_path / "out.mkv", chosen)
    repaired = media.read_clip(tmp_path / "out.mkv")
    assert onset(repaired.audio) - flash(repaired.frames) / 25 == pytest.approx(0.9 - 0.4, abs=1e-3)
    assert not repair_video(path, 100.0, "test", tmp_path / "out.mkv", chosen)
    with pytest.raises(UserError, match="is not the repair"):
        repair_video(path, 100.0, "test", tmp_path / "out.mkv", Streams(audio=1))


def test_a_stream_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    path = write_streams(tmp_path / "a.mkv", [flash_frames(1, 0.4)] * 2, [beep(1, 0.4)], (1, 0))
    with pytest.raises(Reject) as refused:
        media.read_clip(path, streams=Streams(video=2))
    for words in ("no_stream: video_stream=2 is not there", "0 (mpeg4 64x48)", "1 (mpeg4 64x48, default)"):
        assert words in str(refused.value)
    with pytest.raises(Reject, match=r"audio_stream=1 is not there; the file has 0 \(pcm_s16le 44100 Hz, default\)"):
        media.read_clip(path, streams=Streams(audio=1))


def test_what_was_taken_unasked_is_said():
    read = {"video": 1, "audio": 0}
    assert unchosen(read, Streams()) == (
        "video stream 1, audio stream 0 of several is read; video_stream= and audio_stream= takes another"
    )
    assert "audio" not in unchosen(read, Streams(audio=0)) and unchosen(read, Streams(1, 0)) is None


def test_prepare_takes_the_chosen_stream_and_says_what_it_took(tmp_path):
    (tmp_path / "in" / "ann").mkdir(parents=True)
    write_streams(
        tmp_path / "in" / "ann" / "a.mkv", [flash_frames(2, 1.2)], [beep(2, 0.4), beep(2, 1.2), beep(2, 0.8)], (0, 1)
    )
    for arguments, at in (([], 1.2), (["audio_stream=2"], 0.8)):
        out = tmp_path / f"out{at}"
        how = [f"root={tmp_path}/in", "corpus=folder", "faces=none", "size=32", "workers=1", f"out={out}"]
        said = slts("prepare", *how, *arguments).stdout
        with tarfile.open(out / "train-000000.tar") as tar:
            sound = media.decode_flac(tar.extractfile("ann_a.flac").read())
        assert onset(sound) == pytest.approx(at, abs=1e-3)
        note = "1 clips are of files with several audio streams, of which the default one is read; audio_stream= takes"
        assert (note in said) == (not arguments)
    refused = slts("prepare", *how[:-1], f"out={tmp_path}/none", "audio_stream=3", check=False)
    assert refused.returncode == 2 and "no_stream 1" in refused.stderr
    assert "audio_stream=3 is not there; the file has 0 (pcm" in (tmp_path / "none" / "rejected.jsonl").read_text()
    fraction = slts("prepare", *how[:-1], f"out={tmp_path}/none", "audio_stream=0.5", check=False)
    assert fraction.returncode == 2 and "whole >=0" in fraction.stderr


def test_a_still_picture_is_not_the_picture(tmp_path):
    still = np.full((1, 48, 64, 3), 200, np.uint8)
    path = write_streams(tmp_path / "a.mkv", [still, flash_frames(2, 1.2)], [beep(2, 1.2)], (0, 0))
    clip = media.read_clip(path)
    assert apart(clip) < 1e-3 and len(clip.frames) == 50
    assert "streams" not in clip.extra  # there was nothing to choose
    assert media.probe(path)[0] == pytest.approx(2, abs=0.05)
    media.mux(path, clip.audio, tmp_path / "out.mp4")
    assert np.array_equal(media.read_picture(tmp_path / "out.mp4").frames, media.read_picture(path).frames)


def test_one_stream_of_each_kind_says_nothing(tmp_path):
    assert media.read_clip(write_video(tmp_path / "a.mkv", flash_frames(1, 0.4), beep(1, 0.4))).extra == {"start": 0.0}


CASES = Path(__file__).parents[2].parent / "shared" / "cases"


@pytest.mark.parametrize(
    "name", ["second_audio_track_default.mkv", "still_picture_first.mkv", "second_video_stream_default.mkv"]
)
def test_recorded_files_read_as_the_plain_clip(name):
    if not (CASES / name).exists():
        pytest.skip("the recorded cases are not here")
    plain, found = (media.read_clip(CASES / file) for file in ("same_stem/a/clip.mp4", name))
    frames, samples = min(len(plain.frames), len(found.frames)), min(len(plain.audio), len(found.audio))
    assert np.abs(plain.frames[:frames].astype(int) - found.frames[:frames]).mean() < 6
    assert np.corrcoef(plain.audio[:samples], found.audio[:samples])[0, 1] > 0.5


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_unopened(tmp_path, kind):
    path = tmp_path / "z.mp4"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        else:
            path.symlink_to("/dev/zero")
        for read in (media.read_clip, media.read_picture, media.read_audio, media.probe):
            with pytest.raises(Reject, match="pipe, socket or device"):
                read(path)
        with pytest.raises(UserError, match=r"z\.mp4.*pipe, socket or device"):
            read_sound(path)


def test_a_name_like_an_address_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video = write_video(Path("in.mkv"), flash_frames(1, 0.4), None)
    out = Path("http:127.0.0.1:1?x.mp4")
    media.mux(video, beep(1, 0.4, 16000).astype(np.float32), out)
    assert out.stat().st_size > 1000 and len(media.read_picture(out).frames) == 25
    assert len(read_sound(out)) > 15000
