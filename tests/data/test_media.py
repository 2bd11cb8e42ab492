import io

import av
import numpy as np
import pytest
import soundfile
from flash_and_beep import RATE, beep, flash, flash_frames, onset, write_video
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.data import media
from slts.data.clip import Reject
from slts.data.media.container import mend_times

MILLISECOND = 1e-3


def reason(action) -> str:
    with pytest.raises(Reject) as caught:
        action()
    return caught.value.reason


@pytest.mark.parametrize(
    ("video_start", "audio_start"), [(0.0, 0.0), (0.58, 0.58), (0.6, 0.24), (0.2, 0.53), (0.0, 0.013)]
)
def test_flash_and_beep_stay_together_whatever_the_start_times(tmp_path, video_start, audio_start):
    together = video_start + 0.84
    path = write_video(
        tmp_path / "clip.mkv",
        flash_frames(2.4, together - video_start),
        beep(2.4, together - audio_start),
        video_start=video_start,
        audio_start=audio_start,
    )
    clip = media.read_clip(path)
    assert abs(onset(clip.audio) - flash(clip.frames) / clip.fps) < MILLISECOND
    assert clip.fps == 25
    assert abs(len(clip.audio) / 16000 - len(clip.frames) / 25) < MILLISECOND
    first_frame = next(t for t in np.arange(60) / 25 + video_start if t >= audio_start - 1e-6)
    assert clip.extra["start"] == pytest.approx(first_frame - video_start, abs=MILLISECOND)
    last = min(video_start, audio_start) + 2.4
    assert -MILLISECOND <= last - first_frame - len(clip.frames) / 25 < 0.04 + MILLISECOND


def test_a_separate_audio_file_starts_where_the_container_starts(tmp_path):
    video = write_video(tmp_path / "clip.mkv", flash_frames(2, 0.8), None, video_start=0.4)
    soundfile.write(tmp_path / "clip.flac", beep(2, 0.8), RATE)
    clip = media.read_clip(video, tmp_path / "clip.flac")
    assert abs(onset(clip.audio) - flash(clip.frames) / 25) < MILLISECOND


def test_another_frame_rate_keeps_the_instants(tmp_path):
    path = write_video(tmp_path / "clip.mkv", flash_frames(2, 1.0), beep(2, 1.0))
    clip = media.read_clip(path, fps=50)
    white = np.flatnonzero(clip.frames.mean((1, 2, 3)) > 128)
    assert list(white / 50) == [1.0, 1.02]
    assert len(clip.frames) == 100


def test_dropped_frames_are_held_not_closed_up(tmp_path):
    frames = flash_frames(2, 1.6)
    stamps = [i for i in range(50) if i not in (10, 11, 30)]
    path = write_video(tmp_path / "clip.mkv", frames[stamps], beep(2, 1.6), stamps=stamps)
    clip = media.read_clip(path, fps=25)
    assert abs(onset(clip.audio) - flash(clip.frames) / 25) < MILLISECOND
    assert len(clip.frames) == 50


def test_missing_and_stray_stamps_follow_the_constant_rate():
    true = 0.58 + np.arange(75) / 25
    stamps = list(true)
    for index in (1, 3, 4, 40, 41, 42, 73, 74):
        stamps[index] = None
    stamps[70] = true[74]
    stamps[20] = true[21]
    assert np.allclose(mend_times(stamps, 0.04), true)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=30))
def test_complete_rising_stamps_are_believed(steps):
    times = np.cumsum(steps)
    assert np.array_equal(mend_times(list(times), 0.04), times)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | st.floats(-1e4, 1e4), min_size=1, max_size=30))
def test_mended_times_are_finite_and_never_fall(stamps):
    times = mend_times(stamps, 0.04)
    assert np.isfinite(times).all() and (np.diff(times) >= 0).all() and len(times) == len(stamps)


def test_stereo_is_averaged_without_gain(tmp_path):
    left, right = beep(1, 0.3), 0.5 * beep(1, 0.3)
    path = write_video(tmp_path / "clip.mkv", flash_frames(1, 0.4), np.stack([left, right]))
    audio, _ = media.read_audio(path)
    assert np.abs(audio).max() == pytest.approx(0.375, abs=0.01)
    path = write_video(tmp_path / "mono.mkv", flash_frames(1, 0.4), left)
    assert np.abs(media.read_audio(path)[0]).max() == pytest.approx(0.5, abs=0.01)


def test_gap_in_the_audio_stamps_is_silence(tmp_path):
    path = tmp_path / "gap.mkv"
    write_video(path, flash_frames(1, 0.4), beep(1, 0.1))
    with av.open(str(path)) as source, av.open(str(tmp_path / "out.mkv"), "w") as target:
        stream = source.streams.audio[0]
        copied = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is not None:
                late = 300 if packet.pts * packet.time_base > 0.5 else 0
                packet.pts = packet.dts = packet.pts + late
                packet.stream = copied
                target.mux(packet)
    assert len(media.read_audio(tmp_path / "out.mkv")[0]) == pytest.approx(1.3 * 16000, abs=32)


def test_reject_reasons(tmp_path):
    frames, sound = flash_frames(2, 1), beep(2, 1)
    silent = write_video(tmp_path / "silent.mp4", frames, None)
    assert reason(lambda: media.read_clip(silent)) == "no_audio"
    soundfile.write(tmp_path / "voice.wav", sound, RATE)
    assert reason(lambda: media.read_clip(tmp_path / "voice.wav")) == "no_video"
    (tmp_path / "text.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" * 20)
    assert reason(lambda: media.read_clip(tmp_path / "text.mp4")) == "unreadable"
    (tmp_path / "empty.mp4").touch()
    assert reason(lambda: media.read_clip(tmp_path / "empty.mp4")) == "unreadable"
    assert reason(lambda: media.read_clip(tmp_path / "absent.mp4")) == "unreadable"
    assert reason(lambda: media.read_clip(tmp_path)) == "unreadable"


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_a_file_cut_in_half_is_not_a_shorter_clip(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (100, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, noise, beep(4, 1))
    media.read_clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason(lambda: media.read_clip(path)) in ("truncated", "unreadable")


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001])
def test_shard_video_is_deterministic_and_on_time(fps):
    frames = flash_frames(1, 0.4, size=(72, 72))
    data = media.encode_h264(frames, fps)
    assert data == media.encode_h264(frames, fps)
    decoded = media.decode_frames(data)
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).max() < 12
    grey = media.decode_frames(data, grey=True)
    assert grey.shape == frames.shape[:3] and grey.flags.c_contiguous
    assert grey[flash(frames)].mean() == pytest.approx(235, abs=2) and grey[0].mean() == pytest.approx(16, abs=2)
    with av.open(io.BytesIO(data)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == pytest.approx(fps, rel=1e-6)
    assert np.allclose(times, np.arange(len(frames)) / fps, atol=1e-4)


def test_flac_round_trip_is_sixteen_bit_exact():
    audio = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    audio[:2] = -1, 1
    decoded = media.decode_flac(media.encode_flac(audio))
    assert np.abs(decoded - audio).max() <= 1 / 32768
    assert media.encode_flac(decoded) == media.encode_flac(audio)
    stereo = io.BytesIO()
    soundfile.write(stereo, np.zeros((100, 2)), 16000, format="FLAC")
    assert reason(lambda: media.decode_flac(stereo.getvalue())) == "unreadable"
    assert reason(lambda: media.decode_flac(b"no flac")) == "unreadable"


def test_mux_copies_the_picture_and_starts_the_sound_with_it(tmp_path):
    video = write_video(tmp_path / "in.mkv", flash_frames(2, 1.2), None, video_start=0.5)
    media.mux(video, beep(2, 1.2, 16000).astype(np.float32), tmp_path / "out.mp4")
    clip = media.read_clip(tmp_path / "out.mp4")
    assert abs(onset(clip.audio) - flash(clip.frames) / 25) < 2 * MILLISECOND
    assert len(clip.frames) == 50
    with av.open(str(video)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert [bytes(p) for p in before.demux(video=0) if p.size] == [bytes(p) for p in after.demux(video=0) if p.size]


def test_real_clips_decode_whole(grid):
    audio, start = media.read_audio(grid / "table3" / "bbaf2n.mpg")
    assert (len(audio), start) == (47648, 0.0)  # the sample count of the paper's Table 3 (ffmpeg's)
    clip = media.read_clip(grid / "s1" / "bbaf3s.mpg")  # starts at 0.58 s, stamps only some pictures, one wrongly
    assert (len(clip.frames), len(clip.audio), clip.fps, clip.extra["start"]) == (74, 74 * 640, 25.0, 0.0)
    assert len(media.read_picture(grid / "s1" / "bbaf3s.mpg").frames) == 75


def test_mux_orders_the_pictures_of_a_sparsely_stamped_stream(grid, tmp_path):
    source = grid / "s1" / "bbaf3s.mpg"
    media.mux(source, np.zeros(48000, np.float32), tmp_path / "out.mp4")
    before, after = (media.read_picture(path).frames for path in (source, tmp_path / "out.mp4"))
    assert np.array_equal(before, after)
