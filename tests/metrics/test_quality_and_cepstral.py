import numpy as np
import pesq as itu
import pytest
import python_speech_features
import soxr
from metric_clips import delayed, speech_like

from slts.metrics import Undefined
from slts.metrics.cepstral import mcd, mfcc
from slts.metrics.quality import pesq


def test_pesq_modes_are_the_packages():
    reference, generated = speech_like(0), speech_like(0, noise=0.05)
    assert pesq(reference, generated) == itu.pesq(16000, reference, generated, "nb")
    assert pesq(reference, generated, "wb") == itu.pesq(16000, reference, generated, "wb")
    at_8k = [soxr.resample(audio, 16000, 8000) for audio in (reference, generated)]
    assert pesq(reference, generated, "nb8k") == itu.pesq(8000, *at_8k, "nb")
    assert len({pesq(reference, generated, mode) for mode in ("nb", "wb", "nb8k")}) == 3


def test_pesq_of_identity_is_the_papers_real_voice():
    assert round(pesq(speech_like(0), speech_like(0)), 3) == 4.549


def test_pesq_without_a_value():
    audio = speech_like(0)
    with pytest.raises(Undefined, match="quarter of a second"):
        pesq(audio[20000:22000], audio[20000:22000])
    with pytest.raises(Undefined, match="silent"):
        pesq(audio, audio * 0)
    with pytest.raises(Undefined, match="at most 31 s"):
        pesq(np.tile(audio, 11), np.tile(audio, 11))
    with pytest.raises(ValueError, match="mode 'narrow'"):
        pesq(audio, audio, "narrow")


def test_pesq_without_speech():
    click = np.zeros(16000, np.float32)
    click[0] = 0.5
    with pytest.raises(Undefined, match="finds no speech"):
        pesq(click, click)


@pytest.mark.parametrize("count", [100, 400, 401, 560, 9999, 47648])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mfcc_is_the_packages(count, dtype):
    audio = speech_like(0)[:count].astype(dtype)
    audio[500:1500] = 0
    np.testing.assert_allclose(mfcc(audio), python_speech_features.mfcc(audio), rtol=1e-12, atol=1e-12)


def test_mcd_is_the_mean_distance():
    reference, generated = speech_like(0), delayed(speech_like(0), 320)
    a, b = python_speech_features.mfcc(reference), python_speech_features.mfcc(generated)
    assert mcd(reference, generated) == pytest.approx(np.sqrt(np.square(a - b).sum(1)).mean(), abs=1e-12)
    assert mcd(reference, reference) == 0
