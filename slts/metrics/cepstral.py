"""Mel-cepstral distortion: the paper's, and the usual one in decibels without WORLD.

The paper's uses MFCCs of python_speech_features at their defaults with the log energy as c0 and the plain Euclidean
distance: no factor 10 sqrt(2) / ln 10, no time warping. It is a distance, not decibels.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from python_speech_features import get_filterbanks, lifter
from python_speech_features.sigproc import preemphasis
from scipy.fft import dct

from slts.audio import SAMPLE_RATE
from slts.audio.mel import BANDS
from slts.metrics.alignment import LOG_MEL
from slts.metrics.excerpt import Excerpt, LocalAnalysis, Undefined, checked_pair

WINDOW, HOP, FFT = 400, 160, 512
FILTERS, COEFFICIENTS = 26, 13
TINY = np.finfo(float).eps
"""Stands for an energy of exactly zero."""
MEL_CEPSTRA = 24
"""Coefficients c1 ... c24 of the distortion in decibels; c0, the level, is left out."""


@lru_cache(maxsize=1)
def _filters() -> torch.Tensor:
    """Mel filters (257, 26)."""
    return torch.from_numpy(get_filterbanks(FILTERS, FFT, SAMPLE_RATE).T.copy())


@torch.inference_mode()
def mfcc(audio: np.ndarray) -> np.ndarray:
    """MFCCs of audio (N,) at 16 kHz: (frames, 13). ``python_speech_features.mfcc`` with its filters made once."""
    signal = preemphasis(audio, 0.97).astype(np.float64)
    count = 1 + max(0, -(-(len(signal) - WINDOW) // HOP))
    signal = np.pad(signal, (0, (count - 1) * HOP + WINDOW - len(signal)))
    frames = sliding_window_view(signal, WINDOW)[::HOP]
    # torch's transform of many frames is the fastest of those at hand.
    spectrum = torch.fft.rfft(torch.from_numpy(frames.copy()), FFT)
    power = (spectrum.real.square() + spectrum.imag.square()) / FFT
    energy, bands = power.sum(1).numpy(), (power @ _filters()).numpy()
    cepstra = lifter(dct(np.log(np.where(bands == 0, TINY, bands)), type=2, axis=1, norm="ortho")[:, :COEFFICIENTS])
    cepstra[:, 0] = np.log(np.where(energy == 0, TINY, energy))
    return cepstra


MFCC = LocalAnalysis(mfcc, per_step=1, edge=3)


def mcd(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt) -> float:
    """The paper's MCD: mean over frames of the Euclidean distance between MFCCs; 0 is identity.

    Arrays (N,) of equal length at 16 kHz. Raises Undefined if either is empty, silent or not finite.
    """
    reference, generated = checked_pair(reference, generated)
    difference = reference.analysis(MFCC) - generated.analysis(MFCC)
    return float(np.sqrt(np.einsum("ij,ij->i", difference, difference)).mean())


def mcd_db(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt) -> float:
    """Mel-cepstral distortion in decibels (Kubichek, 1993), from log-mels instead of WORLD's envelope; 0 is identity.

    10 sqrt(2) / ln 10 times the mean over frames of the norm of the difference of c1 ... c24, where a frame's log-mel
    (slts.audio.mel: 80 bands of 40 ms each 10 ms) is c0 + sum_d c_d cos(pi d (b + 1/2) / 80), b = 0 ... 79. That is the
    RMS over bands of the difference between the two smoothed envelopes, each frame's level taken out. No time warping.

    Arrays (N,) of equal length at 16 kHz, at least 10 ms. Raises Undefined if either is shorter, silent or not finite.
    """
    reference, generated = checked_pair(reference, generated)
    if len(reference) < HOP:
        raise Undefined("under 10 ms of audio for MCD in dB")
    difference = reference.analysis(LOG_MEL).astype(float) - generated.analysis(LOG_MEL)
    cepstra = dct(difference, type=2, axis=1)[:, 1 : MEL_CEPSTRA + 1] / BANDS
    return float(10 * np.sqrt(2) / np.log(10) * np.linalg.norm(cepstra, axis=1).mean())
