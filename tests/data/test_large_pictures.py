"""Files that would fill the memory are refused by name, before or soon after decoding sets in."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from slts.data import media
from slts.data.clip import Reject
from slts.data.media import picture


def write_black(path: Path, count: int, width: int, height: int, seconds: float) -> Path:
    """A file of ``count`` black pictures; the container states ``seconds`` whatever their number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        frame = av.VideoFrame.from_ndarray(np.zeros((height * 3 // 2, width), np.uint8), format="yuv420p")
        for index in range(count):
            frame.pts, frame.time_base = round(index * seconds / count * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("read", [media.read_picture, media.read_clip])
def test_a_very_wide_picture_is_refused_undecoded(tmp_path, monkeypatch, read):
    path = write_black(tmp_path / "wide.mkv", 3, 1024, 48, 0.12)
    monkeypatch.setattr(picture, "LARGEST", 4 * 48**2)
    with pytest.raises(Reject, match=r"too_large: pictures of 1024x48"):
        read(path)


def test_more_pictures_than_the_stated_duration_holds_are_not_decoded(tmp_path, monkeypatch):
    path = write_black(tmp_path / "bomb.mkv", 900, 320, 240, 0.9)
    monkeypatch.setattr(picture, "UNSTATED", 10 * 320 * 240)
    tracemalloc.start()
    with pytest.raises(Reject, match=r"too_large.*320x240"):
        media.read_picture(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 320 * 240 * 600  # 240 a second at most, of 900


def test_a_long_video_is_refused_by_what_it_states(tmp_path, monkeypatch):
    path = write_black(tmp_path / "long.mkv", 50, 64, 48, 2.0)
    assert len(media.read_picture(path).frames) == 50
    monkeypatch.setattr(picture, "MOST", 49 * 64 * 48)
    with pytest.raises(Reject, match="too_large: 50 pictures of 64x48"):
        media.read_picture(path)
    assert len(picture.read_frames(path, (0.0, 1.0)).frames) == 25  # cut by chunk_seconds it fits
