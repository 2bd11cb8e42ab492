import numpy as np
import pytest
from flash_and_beep import beep, flash, flash_frames, onset

from slts.data.clip import Clip, Reject
from slts.offsets.injection import inject_offset
from slts.offsets.profiles import PROFILES


def synchronous(seconds: float, at: float) -> Clip:
    audio = beep(seconds, at, 16000).astype(np.float32)
    return Clip(flash_frames(seconds, at), 25.0, audio, words=[(at, at + 0.04, "beep"), (0, 1e-6, "before")])


@pytest.mark.parametrize("profile", ["jitter", "lagged", "chess"])
def test_what_is_heard_at_t_is_seen_at_t_plus_offset(profile):
    clip = synchronous(2.96, 1.4)
    cuts = [inject_offset(clip, profile, np.random.default_rng(seed)) for seed in range(60)]
    low, high = PROFILES[profile]
    for cut in cuts:
        heard, seen = onset(cut.audio), flash(cut.frames) / 25
        assert (seen - heard) * 1000 == pytest.approx(cut.offset_ms, abs=0.2)
        assert low <= cut.offset_ms <= high
        assert len(cut.audio) == len(cut.frames) * 640
        assert cut.words[0] == (pytest.approx(heard, abs=1e-4), pytest.approx(heard + 0.04, abs=1e-4), "beep")
    assert [len(cut.words) for cut in cuts].count(1) > 40  # the word before the cut is gone unless nothing was cut
    assert len({len(cut.frames) for cut in cuts}) == 1
    offsets = np.array([cut.offset_ms for cut in cuts])
    assert offsets.max() - offsets.min() > 0.8 * (high - low)
    seen = np.array([flash(cut.frames) for cut in cuts])
    assert np.ptp(seen) == 5  # starts over 0.2 s
    assert abs(np.corrcoef(seen, offsets)[0, 1]) < 0.35  # drawn without regard to the offset


def test_a_known_offset_adds_up_and_phones_move_along():
    clip = synchronous(2.96, 1.4)
    clip.offset_ms, clip.extra = 40.0, {"phones": [(1.4, 1.44, "b")], "start": 0.1}
    cut = inject_offset(clip, "chess", np.random.default_rng(1))
    assert -210 <= cut.offset_ms <= -160
    assert cut.extra["phones"][0][0] == pytest.approx(onset(cut.audio), abs=1e-4)
    assert clip.extra["start"] == 0.1 and cut.extra["start"] == pytest.approx(0.1 + 1.4 - flash(cut.frames) / 25)


def test_too_short_for_the_profile():
    with pytest.raises(Reject) as caught:
        inject_offset(synchronous(0.44, 0.2), "lagged", np.random.default_rng(0))
    assert caught.value.reason == "too_short"
