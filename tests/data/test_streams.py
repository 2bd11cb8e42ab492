"""Which streams of a file are read, and what is refused before it is opened."""

import os
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from flash_and_beep import RATE, beep, flash, flash_frames, onset, write_video

from slts.data import media
from slts.data.clip import Reject
from slts.errors import UserError
from slts.reporting.sensitivity import read_sound


def write_streams(path: Path, pictures: list[np.ndarray], sounds: list[np.ndarray], default: tuple[int, int]) -> Path:
    """A Matroska file of several pictures and sounds; those numbered ``default`` are marked so, a still is MJPEG."""
    with av.open(str(path), "w") as container:
        streams = []
        for frames in pictures:
            stream = container.add_stream("mpeg4" if len(frames) > 1 else "mjpeg", rate=25)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p" if len(frames) > 1 else "yuvj420p"
            streams.append(stream)
        voices = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in sounds]
        for kind, marked in ((streams, default[0]), (voices, default[1])):
            for number, stream in enumerate(kind):
                stream.disposition = Disposition.default if number == marked else 0
        for stream, frames in zip(streams, pictures, strict=True):
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        for stream, sound in zip(voices, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def apart(clip) -> float:
    return abs(onset(clip.audio) - flash(clip.frames) / clip.fps)


def test_the_default_streams_are_read_and_named(tmp_path):
    pictures, sounds = [flash_frames(2, at) for at in (0.4, 1.2)], [beep(2, at) for at in (0.2, 1.2, 0.8)]
    clip = media.read_clip(write_streams(tmp_path / "a.mkv", pictures, sounds, (1, 1)))
    assert apart(clip) < 1e-3 and flash(clip.frames) == 30
    assert clip.extra["streams"] == {"video": 1, "audio": 1}
    assert media.read_picture(tmp_path / "a.mkv").extra["streams"] == {"video": 1}
    assert media.read_clip(tmp_path / "a.mkv", span=(1.0, 2.0)).frames.mean((1, 2, 3)).argmax() == 5


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
