"""PESQ (ITU-T P.862) through the ``pesq`` package, whose C code is ITU's."""

import numpy as np
import pesq as itu
import soxr
from scipy.ndimage import label

from slts.audio import SAMPLE_RATE
from slts.metrics.excerpt import Excerpt, Undefined, checked_pair

PESQ_MODES = {
    "nb": "narrow band, 16 kHz input",
    "nb8k": "narrow band, input resampled to 8 kHz",
    "wb": "wide band, 16 kHz input",
}
"""The paper and Lip2Wav use nb, VCA-GAN nb8k; they differ by up to 0.24 on a clip."""

LONGEST = 31
"""Seconds."""
MOST_UTTERANCES = 50
"""Room in the tables of ITU's C code. It does not look: from the 51st utterance on it writes beyond them, which first
gives wrong scores and at about the 60th takes the process down."""
CAUTION = 40
"""Utterances from which on PESQ is refused: we count before ITU's filters, so our count may differ by some."""
SHORTEST_WITH_MANY = 15
"""Seconds. An utterance with its pause takes 0.39 s, so anything shorter holds fewer than CAUTION."""


def utterances(reference: np.ndarray) -> int:
    """About how many utterances of audio (N,) at 16 kHz P.862's voice activity detector finds.

    In blocks of 4 ms: a threshold two deviations above the mean of what is below it, iterated; bursts of up to 4 blocks
    dropped, pauses of up to 50 filled, stretches of at least 50 counted. Tested to agree with the C code on bursts.
    """
    block = SAMPLE_RATE // 250
    energy = np.square(reference[: len(reference) // block * block].astype(float)).reshape(-1, block).mean(1)
    energy = np.maximum(energy, 1e-4 * energy.max())
    threshold = energy.mean()
    for _ in range(12):
        quiet = energy[energy <= threshold]
        threshold = 1.001 * (quiet.mean() + 2 * quiet.std()) if quiet.size else 0.0
    active = _without_short(energy > threshold, 4)
    active = ~_without_short(~active, 50)
    return label(_without_short(active, 45))[1]


def _without_short(mask: np.ndarray, longest: int) -> np.ndarray:
    """The mask without its runs of up to ``longest``."""
    runs, _ = label(mask)
    return mask & (np.bincount(runs)[runs] > longest)


def pesq(reference: np.ndarray | Excerpt, generated: np.ndarray | Excerpt, mode: str = "nb") -> float:
    """Perceptual quality as MOS-LQO, about 1 to 4.55 (4.64 for wb). Arrays (N,) at 16 kHz of equal length.

    Raises Undefined if no speech is found, under a quarter of a second, over 31 s, with about 40 utterances or more,
    or if either is empty, silent or not finite.
    """
    if mode not in PESQ_MODES:
        raise ValueError(f"PESQ mode {mode!r} is none of {', '.join(PESQ_MODES)}")
    reference, generated = (side.audio for side in checked_pair(reference, generated))
    if len(reference) > LONGEST * SAMPLE_RATE:
        raise Undefined(f"PESQ takes at most {LONGEST} s")
    if len(reference) > SHORTEST_WITH_MANY * SAMPLE_RATE and utterances(reference) >= CAUTION:
        raise Undefined(f"PESQ takes fewer than {MOST_UTTERANCES} utterances")
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
    except (itu.PesqError, ValueError):  # it stumbles over NaN of its own where one side is 1e20 times louder
        raise Undefined("PESQ is not finite") from None
    if not np.isfinite(score):
        raise Undefined("PESQ is not finite")
    return score
