import numpy as np
import pesq as itu
import pytest
import python_speech_features
import soxr
import torch
from metric_clips import speech_like

from slts.audio.mel import BANDS, log_mel
from slts.metrics import Undefined, mcd, mcd_db, pesq
from slts.metrics.cepstral import mfcc
from slts.metrics.quality import utterances
from slts.reporting.sensitivity import delayed


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


def test_mcd_in_decibels_by_its_definition():
    """c_d = 2 / 80 sum_b log-mel cos(pi d (b + 1/2) / 80), written out; level and everything above c24 do not count."""
    reference, generated = speech_like(0), speech_like(0, noise=0.05)
    a, b = (log_mel(torch.from_numpy(audio)[None])[0].double().numpy() for audio in (reference, generated))
    basis = np.cos(np.pi * np.arange(1, 25)[:, None] * (np.arange(BANDS) + 0.5) / BANDS)
    cepstra = 2 / BANDS * (a - b) @ basis.T
    expected = 10 * np.sqrt(2) / np.log(10) * np.sqrt(np.square(cepstra).sum(1)).mean()
    assert mcd_db(reference, generated) == pytest.approx(expected, abs=1e-9)
    # Parseval: the RMS over bands, in dB, of the envelopes rebuilt from c1 ... c24.
    assert np.sqrt(np.square(20 / np.log(10) * cepstra @ basis).mean(1)).mean() == pytest.approx(expected)
    assert mcd_db(reference, reference) == 0 and mcd_db(reference, 0.5 * reference) < 0.2
    with pytest.raises(Undefined, match="under 10 ms"):
        mcd_db(reference[20000:20100], generated[20000:20100])


def bursts(seconds: float, on: float, off: float) -> np.ndarray:
    """Noise for ``on`` seconds, then silence for ``off`` seconds, and again."""
    time = np.arange(int(16000 * seconds))
    gate = time % int(16000 * (on + off)) < 16000 * on
    return (0.2 * gate * np.random.RandomState(0).standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize(("on", "off", "count"), [(0.3, 0.3, 25), (1.0, 0.5, 10), (0.2, 0.25, 34), (0.3, 0.15, 1)])
def test_utterances_are_counted(on, off, count):
    """15 s of bursts; pauses of up to 0.2 s do not part utterances."""
    assert abs(utterances(bursts(15, on, off)) - count) <= 1


def test_pesq_refuses_more_utterances_than_its_tables_hold():
    """31 s of bursts of 0.2 s kill the C code; the count keeps it from being called."""
    many = bursts(31, 0.2, 0.22)
    with pytest.raises(Undefined, match="fewer than 50 utterances"):
        pesq(many, many)
    few = bursts(16, 0.5, 0.5)
    assert pesq(few, few) == pytest.approx(4.5486, abs=1e-3)
