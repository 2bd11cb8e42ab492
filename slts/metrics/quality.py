"""PESQ (ITU-T P.862) through the ``pesq`` package, whose C code is ITU's."""

import numpy as np
import pesq as itu
import soxr

from slts.audio import SAMPLE_RATE
from slts.metrics import Undefined, check_pair

PESQ_MODES = {
    "nb": "narrow band, 16 kHz input",
    "nb8k": "narrow band, input resampled to 8 kHz",
    "wb": "wide band, 16 kHz input",
}
"""The paper and Lip2Wav use nb, VCA-GAN nb8k; they differ by up to 0.24 on a clip."""

LONGEST = 31
"""Seconds. ITU's C code writes past its table at the 51st utterance and takes the process down; half a minute of speech
holds far fewer, though bursts of 0.2 s with pauses of 0.2 s could reach it after 20 s."""


def pesq(reference: np.ndarray, generated: np.ndarray, mode: str = "nb") -> float:
    """Perceptual quality as MOS-LQO, about 1 to 4.55 (4.64 for wb). Arrays (N,) at 16 kHz of equal length.

    Raises Undefined if no speech is found, under a quarter of a second, over 31 s, or if either is empty, silent or not
    finite.
    """
    if mode not in PESQ_MODES:
        raise ValueError(f"PESQ mode {mode!r} is none of {', '.join(PESQ_MODES)}")
    check_pair(reference, generated)
    if len(reference) > LONGEST * SAMPLE_RATE:
        raise Undefined(f"PESQ takes at most {LONGEST} s")
    rate = SAMPLE_RATE
    if mode == "nb8k":
        rate = 8000
        reference, generated = (soxr.resample(audio, SAMPLE_RATE, rate) for audio in (reference, generated))
    try:
        score = float(itu.pesq(rate, reference, generated, mode[:2]))
    except itu.NoUtterancesError:
        raise Undefined("PESQ finds no speech") from None
    except itu.BufferTooShortError:
        raise Undefined("PESQ needs a quarter of a second") from None
    if not np.isfinite(score):
        raise Undefined("PESQ is not finite")
    return score
