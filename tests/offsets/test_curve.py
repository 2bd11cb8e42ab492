"""Curves of long and large videos: windows, bounded memory, and what is said of windows without an offset."""

import subprocess
import sys

import av
import numpy as np
import pytest
from conftest import ROOT
from envelope_talker import envelope_run, talker
from peak_memory import STATUS

from slts.data.faces.people import Thresholds
from slts.data.media import read_clip, write_sound
from slts.offsets import curve
from slts.offsets.curve import VideoEstimator, offset_curve

MEASURED = """
import gc, sys
gc.disable()  # what only the collector frees would grow
from envelope_talker import envelope_run
from peak_memory import peak_mb
from slts.offsets.alignment import offset_of
for video in sys.argv[1:]:
    offset_of(video, run=envelope_run())
    print(peak_mb())
"""


def test_windows_overlap_by_half_and_cover_the_video(tmp_path):
    video = talker(tmp_path / "a.mkv", 30, lambda s: 0.08)
    found = offset_curve(VideoEstimator(envelope_run(), Thresholds()), video, progress=False)
    middles = np.array([window.seconds for window in found.windows])
    assert found.hop == 2.5 and found.window == 5 and found.length == pytest.approx(30)
    assert middles[0] == 2.5 and middles[-1] == 27.5 and np.allclose(np.diff(middles), 2.5)
    assert all(window.offset_ms == pytest.approx(80, abs=20) for window in found.told) and len(found.told) > 8


def test_the_windows_of_large_pictures_are_shorter(tmp_path, monkeypatch):
    video = talker(tmp_path / "a.mkv", 12, lambda s: 0.08)
    monkeypatch.setattr(curve, "HELD", 2 * 25 * 64 * 64 * 3)
    found = offset_curve(VideoEstimator(envelope_run(), Thresholds()), video, progress=False)
    assert found.window == pytest.approx(2) and found.hop == pytest.approx(1)


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process is read from /proc")
def test_memory_does_not_grow_with_the_video(tmp_path):
    """A quiet one too: of its windows an exception is made each time, which must not hold their pictures."""
    options = {"shape": (360, 640), "codecs": ("mpeg4", "pcm_s16le")}
    files = [tmp_path / f"{seconds}.mkv" for seconds in (9, 40)]
    for file in files:
        talker(file, float(file.stem), lambda s: 0.05, silent=True, **options)
    done = subprocess.run([sys.executable, "-c", MEASURED, *files], capture_output=True, text=True, cwd=ROOT / "tests")
    short, long = map(float, done.stdout.split())
    assert long - short < 130, done.stderr  # MB; the pictures of a window are 86


def test_a_part_without_sound_or_movement_is_a_gap(tmp_path):
    video = talker(tmp_path / "a.mkv", 40, lambda s: 0.08)
    clip = read_clip(video)
    clip.audio[15 * 16000 : 27 * 16000] = 0
    write_sound(tmp_path / "s.wav", clip.audio)
    muxed = tmp_path / "b.mkv"
    with av.open(str(video)) as a, av.open(str(tmp_path / "s.wav")) as b, av.open(str(muxed), "w") as target:
        sources = (a, a.streams.video[0]), (b, b.streams.audio[0])
        copies = [target.add_stream_from_template(stream) for _, stream in sources]
        for (container, stream), copied in zip(sources, copies, strict=True):
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.stream = copied
                    target.mux(packet)
    found = offset_curve(VideoEstimator(envelope_run(), Thresholds()), muxed, progress=False)
    reasons = {window.reason for window in found.windows if 18 <= window.seconds <= 24}
    assert reasons == {"silence"} and all(w.offset_ms == pytest.approx(80, abs=20) for w in found.told)
