"""Videos that are not as one expects: measured rightly, or one line that says why not."""

import av
import numpy as np
import pytest
from envelope_talker import SIZE, envelope_run, loudness, talker
from flash_and_beep import RATE, flash_frames, write_streams, write_video

from slts.offsets.alignment import align, offset_of

STRANGE = {
    "vertical": {"shape": (160, 90)},
    "wide": {"shape": (72, 200)},
    "uneven pictures": {"uneven": True},
    "30000/1001 pictures a second": {"fps": 30000 / 1001},
    "60 pictures a second": {"fps": 60},
    "12 pictures a second": {"fps": 12},
    "8 kHz": {"rate": 8000},
    "48 kHz stereo": {"rate": 48000, "layout": "stereo"},
    "5.1": {"rate": 48000, "layout": "5.1", "codecs": ("libx264", "aac")},
    "ten bits": {"pix_fmt": "yuv420p10le", "codecs": ("libx264", "aac")},
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_videos_are_measured_and_repaired(what, tmp_path):
    suffix = "mp4" if "codecs" in STRANGE[what] else "mkv"
    source = talker(tmp_path / f"a.{suffix}", 9, lambda s: 0.12, **STRANGE[what])
    assert offset_of(source, run=envelope_run()).offset_ms == pytest.approx(120, abs=20)
    found = align(source, tmp_path / f"b.{suffix}", run=envelope_run())
    assert found.sure and offset_of(tmp_path / f"b.{suffix}", run=envelope_run()).offset_ms == pytest.approx(0, abs=20)


@pytest.mark.parametrize("what", ["5.1", "8 kHz", "uneven pictures"])
def test_their_drifts_are_repaired(what, tmp_path):
    suffix = "mp4" if "codecs" in STRANGE[what] else "mkv"
    source = talker(tmp_path / f"a.{suffix}", 60, lambda s: 0.002 * s, **STRANGE[what])
    found = align(source, tmp_path / f"b.{suffix}", run=envelope_run())
    assert "drift" in found.course.kind
    again = offset_of(tmp_path / f"b.{suffix}", run=envelope_run()).course
    assert np.abs(again.extremes).max() < 20
    with av.open(str(source)) as before, av.open(str(tmp_path / f"b.{suffix}")) as after:
        assert before.streams.audio[0].layout.nb_channels == after.streams.audio[0].layout.nb_channels
        assert before.streams.audio[0].rate == after.streams.audio[0].rate


def test_a_rotated_video_is_seen_upright(tmp_path):
    upright = talker(tmp_path / "a.mp4", 9, lambda s: 0.08, codecs=("libx264", "aac"))
    turned = tmp_path / "turned.mp4"
    with av.open(str(upright)) as source, av.open(str(turned), "w") as target:
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    data = bytearray(turned.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 36  # the display matrix of the first track, after version, times and volume
    matrix = np.frombuffer(data[place : place + 36], ">i4")
    assert matrix[0] == matrix[4] == 1 << 16
    half_turn = np.array([-(1 << 16), 0, 0, 0, -(1 << 16), 0, SIZE << 16, SIZE << 16, 1 << 30], ">i4")
    data[place : place + 36] = half_turn.tobytes()
    turned.write_bytes(bytes(data))
    # Upside down the mouth is in the upper half, which stands for a covered one; upright it is not.
    found = offset_of(turned, run=envelope_run())
    assert found.cannot_tell is not None and found.cannot_tell.startswith("still")
    assert offset_of(upright, run=envelope_run()).offset_ms == pytest.approx(80, abs=20)


def test_what_lacks_a_stream_is_said(tmp_path):
    silent = write_video(tmp_path / "silent.mkv", flash_frames(3, 1.2), None)
    blind = tmp_path / "blind.mkv"
    with av.open(str(blind), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.int16), format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    (tmp_path / "empty.mp4").touch()
    for path, word in ((silent, "no_audio"), (blind, "no_video"), (tmp_path / "empty.mp4", "unreadable")):
        found = offset_of(path, run=envelope_run())
        assert found.cannot_tell.startswith(word) and found.course is None and "\n" not in found.cannot_tell


def test_of_several_tracks_the_chosen_one_counts(tmp_path, capsys):
    loud, time = loudness(8), np.arange(6 * RATE) / RATE
    frames = np.full((150, SIZE, SIZE, 3), 90, np.uint8)
    for index, picture in enumerate(frames):
        picture[60 - round(20 * loud[1000 + 40 * index]) : 60, 12:52] = 230
    noise = 0.2 * np.random.default_rng(0).normal(size=len(time))
    fitting = noise * np.interp(time + 1, np.arange(len(loud)) / 1000, loud)
    other = noise * np.interp(time + 1, np.arange(len(loud)) / 1000, loudness(8, 5))
    path = write_streams(tmp_path / "two.mkv", [frames], [other, fitting], (0, 1))
    from slts.data.faces.people import Thresholds
    from slts.data.media import Streams
    from slts.offsets.curve import VideoEstimator
    from slts.offsets.finding import find_offset

    notes = []
    found = find_offset(VideoEstimator(envelope_run(), Thresholds()), path, note=notes.append)
    assert found.sure and "audio stream 1 of several is read" in notes[0]
    chosen = VideoEstimator(envelope_run(), Thresholds(), streams=Streams(audio=0))
    assert find_offset(chosen, path, note=notes.append).course is None and len(notes) == 1
