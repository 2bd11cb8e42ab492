"""The drawn head is one that the shipped estimator reads: its offsets, and that a wrong sound is none."""

import subprocess
import sys

import numpy as np
import pytest

from slts import offset_of
from slts.corpora.synthetic.head import main, speaking_head
from slts.data.media import encode_h264, mux


def test_offsets_of_films_are_found_but_for_a_constant(tmp_path):
    found = []
    for offset_ms in (0, 120):
        main(str(tmp_path / "clip.mp4"), f"offset_ms={offset_ms}")
        found.append(offset_of(tmp_path / "clip.mp4"))
    assert all(one.sure for one in found)
    assert found[1].offset_ms - found[0].offset_ms == pytest.approx(120, abs=10)


def test_another_sound_cannot_be_told(tmp_path):
    clip, other = speaking_head(seed=0), speaking_head(seed=5)
    mux(encode_h264(clip.frames, clip.fps), other.audio, tmp_path / "clip.mp4")
    found = offset_of(tmp_path / "clip.mp4")
    assert not found.sure and found.cannot_tell.startswith("unsure")


def test_the_same_keys_give_the_same_film():
    first, second = (speaking_head(sentences=1, offset_ms=40.0) for _ in range(2))
    assert np.array_equal(first.frames, second.frames) and np.array_equal(first.audio, second.audio)
    assert first.frames.shape == (64, 360, 360, 3) and first.offset_ms == 40.0


@pytest.mark.parametrize("word", ["speaker=9", "offset=3", "sentences=two"])
def test_what_it_does_not_know_is_said(word, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "slts.corpora.synthetic.head", tmp_path / "x.mp4", word], capture_output=True, text=True
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr and not (tmp_path / "x.mp4").exists()
