"""Sound moved against its picture: packets are copied as they stream past."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from flash_and_beep import RATE, beep, flash_frames, write_video
from peak_memory import STATUS

from slts.data.clip import Reject
from slts.data.media.shifting import repair_video

MEASURED = """
import sys
from pathlib import Path
from peak_memory import peak_mb
from slts.data.media.shifting import repair_video

small, large, folder = map(Path, sys.argv[1:])
repair_video(small, 100.0, "test", folder / "a.mkv")
before = peak_mb()
repair_video(large, 100.0, "test", folder / "b.mkv")
print(peak_mb() - before)
"""


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (15, 480, 640, 3), np.uint8)  # of which no codec makes little
    small, large = (
        write_video(tmp_path / f"{n}.mkv", np.resize(noise, (n, 480, 640, 3)), np.zeros(n * RATE // 25),
                    codecs=("ffv1", "pcm_s16le"))
        for n in (15, 240)
    )  # fmt: skip
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, small, large, tmp_path / "out"],
        capture_output=True, text=True, check=True, cwd=ROOT / "tests",
    )  # fmt: skip
    assert large.stat().st_size > 90e6 and float(done.stdout) < 30


def test_a_file_whose_sound_jumps_back_in_time_is_refused(tmp_path):
    parts = [
        write_video(tmp_path / f"{i}.mpg", flash_frames(2, 1), beep(2, 1), codecs=("libx264", "mp2")) for i in "ab"
    ]
    joined = tmp_path / "joined.mpg"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert repair_video(parts[0], 40.0, "test", tmp_path / "right.mkv")
    with pytest.raises(Reject, match="the sound's times go back to"):
        repair_video(joined, 40.0, "test", tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
