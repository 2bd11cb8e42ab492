"""Pictures at another frame rate than their own: neither late nor early on average."""

import numpy as np
import pytest
from flash_and_beep import beep, onset, write_video
from hypothesis import given
from hypothesis import strategies as st

from slts.data import media
from slts.data.media.reading import nearest

RATES = {"25": 25, "29.97": 30000 / 1001, "30": 30, "50": 50, "59.94": 60000 / 1001, "120": 120}


def variable(seconds: float, seed: int = 0) -> np.ndarray:
    """Times at 25 frames a second of which every seventh and every eleventh is missing, as in the recorded case."""
    index = np.arange(round(seconds * 25))
    return index[(index % 7 != 3) & (index % 11 != 5)] / 25


def lateness(times: np.ndarray, fps: float) -> float:
    """By how many ms what is shown on the grid is older than its tick, on average."""
    ticks = np.arange(int(times[-1] * fps)) / fps
    return 1000 * float(np.mean(ticks - times[nearest(times, ticks)]))


@pytest.mark.parametrize("name", [*RATES, "variable"])
@pytest.mark.parametrize("fps", [25.0, None])
def test_no_rate_is_read_late(name, fps):
    times = variable(20) if name == "variable" else np.arange(0, 20, 1 / RATES[name])
    average = (len(times) - 1) / times[-1]
    assert abs(lateness(np.round(times, 3), fps or average)) < 3


@given(st.sampled_from(sorted(RATES.values())), st.floats(-5, 5), st.integers(1, 500), st.integers(0, 9))
def test_frames_on_the_grid_are_taken_as_they_are(fps, start, count, seed):
    ticks = start + np.arange(count) / fps
    rounded = ticks + np.random.default_rng(seed).uniform(-5e-4, 5e-4, count)  # Matroska counts milliseconds
    assert np.array_equal(nearest(rounded, ticks), np.arange(count))


def test_a_picture_that_stands_still_does_so_to_its_end():
    times = np.concatenate([np.arange(25), 125 + np.arange(25)]) / 25  # four seconds without a frame
    shown = nearest(times, np.arange(150) / 25)
    assert (shown[:124] <= 24).all() and np.array_equal(shown[125:], np.arange(25, 50))


@given(st.lists(st.floats(0.002, 0.5), min_size=1, max_size=60), st.sampled_from(sorted(RATES.values())))
def test_time_never_runs_backwards(steps, fps):
    times = np.cumsum(steps)
    ticks = np.arange(times[0], times[-1], 1 / fps)
    assert (np.diff(nearest(times, ticks)) >= 0).all()


@pytest.mark.parametrize("name", [*RATES, "variable"])
def test_pictures_of_a_file_stay_with_its_sound(tmp_path, name):
    """Each frame shows its number in black and white stripes, which tells when it was taken."""
    times = variable(4) if name == "variable" else np.arange(0, 4, 1 / RATES[name])
    stamps = np.round(times * 1000).astype(int)
    bits = np.arange(len(times))[:, None] >> np.arange(16) & 1
    frames = np.broadcast_to(np.repeat(255 * bits, 4, 1)[:, None, :, None], (len(times), 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / "a.mkv", frames, beep(4, 1.0), 1000, stamps=stamps, codecs=("ffv1", "pcm_s16le"))
    clip = media.read_clip(path, fps=25)
    numbers = (clip.frames[:, 24, 1::4].mean(2) > 128) @ (1 << np.arange(16))
    late = np.arange(len(numbers)) * 40 - stamps[numbers]
    assert abs(late[2:-2].mean()) < 3 and np.abs(late[2:-2]).max() <= 40
    assert onset(clip.audio) == pytest.approx(1.0, abs=1e-3)
