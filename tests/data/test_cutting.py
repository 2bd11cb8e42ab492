import tracemalloc
from functools import partial
from itertools import pairwise

import av
import numpy as np
import pytest
import soundfile
from flash_and_beep import beep, flash, flash_frames, onset, write_video
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.data.clip import Reject
from slts.data.cutting import cut, refuse_too_long, spans
from slts.data.media import probe, read_clip
from slts.data.utterance import Utterance


def utterance(path, **changes) -> Utterance:
    values = {"key": "a", "split": "train", "speaker": "ann", "text": "hi", "source": "a.mkv", "video": path}
    return Utterance(**{**values, "load": partial(read_clip, path), **changes})


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Ten seconds whose frame i has brightness i, so that each can be told; a beep at 6.4 s."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    frames = np.broadcast_to(np.arange(250, dtype=np.uint8)[:, None, None, None], (250, 48, 64, 3))
    return write_video(path, frames, beep(10, 6.4), codecs=("ffv1", "pcm_s16le"))


@settings(deadline=None)
@given(st.floats(0.1, 5000), st.sampled_from([24.0, 25.0, 30000 / 1001, 30.0, 59.94, None]), st.floats(1, 30))
def test_spans_join_and_cover_and_are_never_longer(duration, rate, chunk_seconds):
    plan = spans(duration, rate, chunk_seconds)
    assert plan[0][0] == 0 and plan[-1][1] >= duration - 1e-3 > (plan[-1][0] if duration > 2e-3 else -1)
    assert all(a[1] == b[0] for a, b in pairwise(plan))
    assert all(b - a <= chunk_seconds + 1e-5 for a, b in plan)
    if rate:
        assert all(abs(a * rate - round(a * rate)) < 1e-3 for a, _ in plan)


def test_chunks_hold_every_frame_and_every_sample_once(long_video):
    whole = read_clip(long_video)
    chunks = [chunk.load() for chunk in cut([utterance(long_video)], 3.0)]
    assert [len(chunk.frames) for chunk in chunks] == [75, 75, 75, 25]
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), whole.frames)
    joined = np.concatenate([chunk.audio for chunk in chunks])
    assert len(joined) == len(whole.audio)
    assert np.abs(joined - whole.audio).max() < 0.1  # half a sample of the 1 kHz beep
    assert [chunk.extra["start"] for chunk in chunks] == [0.0, 3.0, 6.0, 9.0]
    assert onset(chunks[2].audio) == pytest.approx(0.4, abs=1e-3)


def test_chunks_are_utterances_of_their_own(long_video):
    first, *_, last = chunks = cut([utterance(long_video), utterance(None, key="b")], 3.0)
    assert [chunk.key for chunk in chunks] == ["a-0000", "a-0001", "a-0002", "a-0003", "b"]
    assert (first.source, first.text, first.video, first.speaker) == ("a.mkv#0.00-3.00", None, None, "ann")
    assert last.text == "hi"
    assert cut([utterance(long_video)], 10.0)[0].key == "a"  # short enough as it is


def test_an_unreadable_video_stays_one_utterance(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    kept = utterance(tmp_path / "bad.mp4")
    assert cut([kept], 3.0) == [kept]


def test_one_chunk_of_a_long_video_does_not_hold_the_rest(tmp_path):
    frames = np.zeros((1500, 128, 128, 3), np.uint8)
    frames[:] = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    path = write_video(tmp_path / "long.mkv", frames, beep(60, 50.4))
    del frames
    tracemalloc.start()
    read_clip(path, span=(50.0, 52.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 50 * 128 * 128 * 3  # of 30 times as many in the file


def test_a_span_without_picture_is_rejected(long_video):
    with pytest.raises(Reject, match="too_short"):
        read_clip(long_video, span=(20.0, 23.0))


def test_a_separate_audio_file_is_cut_at_the_same_instants(tmp_path):
    video = write_video(tmp_path / "clip.mkv", flash_frames(9, 7.2), None, video_start=0.4)
    soundfile.write(tmp_path / "clip.flac", beep(9, 7.2), 44100)
    clip = read_clip(video, tmp_path / "clip.flac", span=(6.0, 9.0))
    assert abs(onset(clip.audio) - flash(clip.frames) / 25) < 1e-3 and len(clip.frames) == 75


def test_too_long_a_video_names_the_key_that_cuts_it(tmp_path):
    path = write_video(tmp_path / "long.mkv", np.zeros((61, 48, 64, 3), np.uint8), beep(61, 1), fps=1)
    with pytest.raises(Reject, match=r"too_long.*chunk_seconds=30"):
        refuse_too_long(utterance(path))


def test_a_container_without_duration_is_counted_through(tmp_path):
    source = write_video(tmp_path / "a.mkv", flash_frames(2, 1), beep(2, 1))
    with av.open(str(source)) as there, av.open(str(tmp_path / "b.mkv"), "w", options={"live": "1"}) as live:
        copied = live.add_stream_from_template(there.streams.video[0])
        for packet in there.demux(video=0):
            if packet.size:
                packet.stream = copied
                live.mux(packet)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert not container.duration
    assert probe(tmp_path / "b.mkv")[0] == pytest.approx(2.0, abs=0.05)
