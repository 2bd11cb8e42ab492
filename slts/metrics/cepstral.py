"""MCD as the paper computes it: MFCCs of python_speech_features at their defaults, plain Euclidean distance.

No factor 10 sqrt(2) / ln 10, no time warping, c0 replaced by the log energy; so the figures are not comparable with a
WORLD or mel-cepstrum MCD in dB.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from python_speech_features import get_filterbanks, lifter
from python_speech_features.sigproc import preemphasis
from scipy.fft import dct
from scipy.sparse import csr_array

from slts.audio import SAMPLE_RATE
from slts.metrics import check_pair

WINDOW, HOP, FFT = 400, 160, 512
FILTERS, COEFFICIENTS = 26, 13
TINY = np.finfo(float).eps
"""Stands for an energy of exactly zero."""


@lru_cache(maxsize=1)
def _filters() -> csr_array:
    """Mel filters (257, 26). Mostly zeros; and a sparse product starts no BLAS threads beside a pool's processes."""
    return csr_array(get_filterbanks(FILTERS, FFT, SAMPLE_RATE).T)


def mfcc(audio: np.ndarray) -> np.ndarray:
    """MFCCs of audio (N,) at 16 kHz: (frames, 13). ``python_speech_features.mfcc`` with its filters made once."""
    signal = preemphasis(audio, 0.97).astype(np.float64)
    count = 1 + max(0, -(-(len(signal) - WINDOW) // HOP))
    signal = np.pad(signal, (0, (count - 1) * HOP + WINDOW - len(signal)))
    frames = sliding_window_view(signal, WINDOW)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames, FFT))) / FFT
    energy = power.sum(1)
    bands = power @ _filters()
    cepstra = lifter(dct(np.log(np.where(bands == 0, TINY, bands)), type=2, axis=1, norm="ortho")[:, :COEFFICIENTS])
    cepstra[:, 0] = np.log(np.where(energy == 0, TINY, energy))
    return cepstra


def mcd(reference: np.ndarray, generated: np.ndarray) -> float:
    """Mean over frames of the Euclidean distance between MFCCs; 0 is identity. Arrays (N,) of equal length, 16 kHz.

    Raises Undefined if either is empty, silent or not finite.
    """
    check_pair(reference, generated)
    return float(np.linalg.norm(mfcc(reference) - mfcc(generated), axis=1).mean())
