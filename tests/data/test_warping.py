"""Drift and jumps of the sound taken out of videos whose flashes and beeps are known, and read again."""

import json

import av
import numpy as np
import pytest
from flash_and_beep import RATE, write_video

from slts.data.clip import Reject
from slts.data.media import read_clip
from slts.data.media.sidecar import sidecar
from slts.data.media.warping import Stretch, repair_course

SECONDS = 30
FLASHES = np.arange(1.0, SECONDS - 0.5, 2.0)


def flashing(path, lag, codecs=("mpeg4", "pcm_s16le"), **starts):
    """A flash every two seconds, and a beep ``lag(seconds)`` seconds before each."""
    frames = np.zeros((SECONDS * 25, 48, 64, 3), np.uint8)
    frames[np.round(FLASHES * 25).astype(int)] = 255
    time = np.arange(SECONDS * RATE) / RATE
    sound = np.zeros_like(time)
    for flash in FLASHES:
        at = flash - lag(flash)
        sound += 0.5 * np.sin(2 * np.pi * 1000 * (time - at)) * ((time >= at) & (time < at + 0.04))
    return write_video(path, frames, sound, codecs=codecs, **starts)


def lags_ms(path) -> np.ndarray:
    """By how much each flash is seen after its beep is heard."""
    clip = read_clip(path)
    bright = clip.frames.reshape(len(clip.frames), -1).mean(1)
    seen = np.flatnonzero(bright > 128) / clip.fps
    energy = np.square(clip.audio.astype(float))
    found = []
    for flash in seen:
        near = slice(max(0, round((flash - 0.5) * 16000)), round((flash + 0.5) * 16000))
        place = np.arange(len(energy))[near] / 16000
        found.append(1000 * (flash - ((energy[near] * place).sum() / energy[near].sum() - 0.02)))
    return np.array(found)


def packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def jump(before: float, after: float, at: float = 14.0):
    return lambda seconds: np.where(np.asarray(seconds) < at, before, after)


@pytest.mark.parametrize(("suffix", "codecs"), [("mkv", ("mpeg4", "pcm_s16le")), ("mp4", ("libx264", "aac"))])
@pytest.mark.parametrize(("before", "after"), [(-0.06, 0.1), (0.1, -0.06)])
def test_a_jump_becomes_silence_or_a_cut(suffix, codecs, before, after, tmp_path):
    source = flashing(tmp_path / f"a.{suffix}", jump(before, after), codecs)
    assert np.abs(lags_ms(source) - 1000 * jump(before, after)(FLASHES)).max() < 3
    out = tmp_path / f"b.{suffix}"
    stretches = [Stretch(0, 14, before), Stretch(14, SECONDS, after)]
    assert repair_course(source, stretches, "the truth", out)
    assert np.abs(lags_ms(out)).max() < 3
    assert packets(out) == packets(source)
    record = json.loads(sidecar(out).read_text())
    assert [one["late_ms"] for one in record["stretches"]] == [1000 * before, 1000 * after]
    content = out.read_bytes()
    assert not repair_course(source, stretches, "the truth", out) and out.read_bytes() == content
    assert not repair_course(out, stretches, "the truth", tmp_path / f"c.{suffix}")


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "webm"])
def test_a_drift_is_resampled_away(sign, suffix, tmp_path):
    slope = sign * 0.005
    codecs = {"mkv": ("mpeg4", "pcm_s16le"), "mp4": ("libx264", "aac"), "webm": ("libvpx", "pcm_s16le")}[suffix]
    source = flashing(tmp_path / f"a.{suffix.replace('webm', 'mkv')}", lambda s: 0.02 + slope * s, codecs)
    assert np.ptp(lags_ms(source)) > 130
    out = tmp_path / f"b.{suffix}"
    # What is heard at t is seen at t + 0.02 + slope * s, at the picture's time s.
    ratio = 1 / (1 - slope)
    assert repair_course(source, [Stretch(0, SECONDS, 0.02 * ratio, ratio)], "the truth", out)
    assert np.abs(lags_ms(out)).max() < 3
    assert packets(out) == packets(source)


def test_streams_that_start_apart_keep_their_clock(tmp_path):
    source = flashing(tmp_path / "a.mkv", jump(0, 0), video_start=0.5, audio_start=0.7)
    measured = lags_ms(source)
    out = tmp_path / "b.mkv"
    repair_course(source, [Stretch(0, 14, -0.2), Stretch(14, SECONDS, -0.2)], "the truth", out)
    assert np.abs(lags_ms(out)[1:]).max() < 3 and np.median(measured) == pytest.approx(-200, abs=3)


def test_channels_and_rate_stay(tmp_path):
    frames = np.zeros((100, 48, 64, 3), np.uint8)
    source = write_video(tmp_path / "a.mp4", frames, np.zeros((2, 4 * RATE)) + 0.1, codecs=("libx264", "aac"))
    repair_course(source, [Stretch(0, 4, 0.0, 1.001)], "the truth", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels, stream.codec_context.name) == (RATE, 2, "aac")


def test_what_has_no_sound_is_rejected_and_nothing_is_left(tmp_path):
    source = write_video(tmp_path / "a.mkv", np.zeros((50, 48, 64, 3), np.uint8), None)
    with pytest.raises(Reject, match="no_audio"):
        repair_course(source, [Stretch(0, 2, 0.1)], "x", tmp_path / "b.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
