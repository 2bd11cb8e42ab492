"""Sound that goes on for hours, and timestamps that jump by hours, fill no memory."""

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from flash_and_beep import RATE, beep, flash, flash_frames, onset, write_video

from slts.data import media
from slts.data.clip import Reject
from slts.data.media import picture, sound

MINUTES = 20
"""At 16 kHz in float32 77 MB."""


def peak(work: Callable) -> int:
    """Bytes of arrays that ``work`` held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def write_long_sound(path: Path) -> Path:
    """Two seconds of picture with a flash, and MINUTES of sound that begin with a beep."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        heard = container.add_stream("flac", rate=RATE, layout="mono")
        for rgb in flash_frames(2, 1.2):
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(video.encode(None))
        for second in range(60 * MINUTES):
            pcm = (beep(2, 1.2)[second * RATE : (second + 1) * RATE] * 32767).astype(np.int16)
            pcm = pcm if len(pcm) else np.zeros(RATE, np.int16)
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
            container.mux(heard.encode(frame))
        container.mux(heard.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_is_held_as_long_as_the_picture_lasts(tmp_path, suffix):
    path = write_long_sound(tmp_path / f"a{suffix}")
    assert peak(lambda: media.read_clip(path)) < 10e6
    clip = media.read_clip(path)
    assert len(clip.frames) == 50 and len(clip.audio) == 32000
    assert abs(flash(clip.frames) / 25 - onset(clip.audio)) < 1e-3
    assert len(media.read_picture(path).frames) == 50  # a longer sound does not make the picture a truncated one


def test_a_long_file_of_its_own_is_read_as_far_as_the_picture_goes(tmp_path):
    video = write_video(tmp_path / "a.mkv", flash_frames(2, 1.2), None)
    long = np.zeros(60 * MINUTES * 16000, np.float32)
    long[:32000] = beep(2, 1.2, 16000)
    soundfile.write(tmp_path / "a.wav", long, 16000)
    del long
    assert peak(lambda: media.read_clip(video, tmp_path / "a.wav")) < 10e6
    assert abs(onset(media.read_clip(video, tmp_path / "a.wav").audio) - 1.2) < 1e-3


def test_more_sound_than_the_memory_holds_is_refused(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000 * 4), 16000)
    monkeypatch.setattr(sound, "MOST", 16000 * 3)
    with pytest.raises(Reject, match=r"too_large.*sound"):
        media.read_audio(tmp_path / "a.wav")
    assert len(media.read_audio(tmp_path / "a.wav", (0.0, 2.0))[0]) < 16000 * 3


def test_a_gap_of_an_hour_is_no_hour_of_silence(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        heard = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for rgb in flash_frames(2, 0.4):
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(video.encode(None))
        for start in (0, 3000 * RATE):
            frame = av.AudioFrame.from_ndarray((beep(1, 0.4) * 32767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(heard.encode(frame))
        container.mux(heard.encode(None))
    assert peak(lambda: media.read_clip(path)) < 10e6
    clip = media.read_clip(path)
    assert len(clip.audio) == 32000 and not clip.audio[17000:].any()


def test_a_picture_that_stands_for_an_hour_is_not_repeated_for_an_hour(tmp_path, monkeypatch):
    frames = np.zeros((51, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", frames, None, stamps=[*range(50), 25 * 3000])
    monkeypatch.setattr(picture, "MOST", 10**9)
    monkeypatch.setattr("slts.data.media.reading.MOST", 10**8)
    with pytest.raises(Reject, match="too_large: 75001 pictures of 64x48"):
        media.read_picture(path)
