"""Table 3 of the SLTS paper: a clip against copies of itself delayed by 0, 4, 8 and 12 ms."""

import pytest
from metric_clips import GRID, speech_like

from slts.metrics.scoring import score_pair
from slts.reporting.sensitivity import delayed, read_sound

CLIP = GRID / "table3" / "bbaf2n.mpg"
NAMES = ("stoi", "estoi", "mcd")
PUBLISHED = {0: (1.000, 1.000, 0.000), 4: (0.916, 0.869, 11.651), 8: (0.770, 0.708, 15.605), 12: (0.660, 0.594, 18.712)}
# The same delays of speech_like(0), by pystoi 0.4.1 and python_speech_features 0.6.
STORED = {
    0: (1.0, 1.0, 0.0),
    4: (0.97159, 0.960537, 32.713454),
    8: (0.936357, 0.913954, 29.405635),
    12: (0.880622, 0.856115, 31.435352),
}


@pytest.mark.skipif(not CLIP.exists(), reason="needs the real GRID clip bbaf2n")
def test_published_digits_on_the_real_clip():
    audio = read_sound(CLIP)
    assert audio.shape == (47648,)
    for ms, digits in PUBLISHED.items():
        row = score_pair(audio, delayed(audio, 16 * ms), metrics=NAMES)
        assert tuple(round(row[name], 3) for name in NAMES) == digits


def test_stored_values_on_a_generated_clip():
    audio = speech_like(0)
    for ms, digits in STORED.items():
        row = score_pair(audio, delayed(audio, 16 * ms), metrics=NAMES)
        assert tuple(row[name] for name in NAMES) == pytest.approx(digits, abs=2e-5)
