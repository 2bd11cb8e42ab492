"""The constant of a system's offsets, found without labels.

Offsets learned from data are defined up to the system's own constant o_m: a model that speaks late by o_m and finds
offsets too small by o_m explains the data as well. What a single video frame shows cannot be late. Regressing the mel
on single-frame features over a range of lags around the found offsets therefore tells the constant: it is the lag at
which the regression explains most.
"""

from dataclasses import dataclass

import numpy as np

from slts.audio.mel import MEL_RATE


@dataclass
class Calibration:
    constant_ms: float
    """What to subtract from the system's offsets."""
    lags_ms: np.ndarray
    explained: np.ndarray
    """Share of the mel's variance that the regression explains at each lag, <= 1."""
    at_edge: bool
    """The best lag is the first or the last: search further."""


def offset_constant(
    features: list[np.ndarray], mels: list[np.ndarray], offsets_ms: np.ndarray, reach: int = 25, ridge: float = 1e-3
) -> Calibration:
    """Ridge regression of the mel on single-frame features at lags of -reach .. reach mel frames.

    Args:
        features: of each clip (T, D), one row a mel frame of 10 ms, from the picture at that instant alone.
        mels: of each clip (T, bands), of its recorded audio.
        offsets_ms: (clips,) the system's offsets, positive where the video lags the audio.
        reach: largest lag searched, mel frames.
        ridge: penalty as a share of the features' mean variance.

    Raises:
        ValueError: no clip is longer than its offset and twice the reach.
    """
    shifts = np.rint(np.asarray(offsets_ms) * MEL_RATE / 1000).astype(int)
    lags = np.arange(-reach, reach + 1)
    x, y = [], []
    for feature, mel, shift in zip(features, mels, shifts, strict=True):
        # Frame i of the picture goes with frame i - offset of the sound; all lags see the same frames of the picture.
        first, last = max(0, shift + reach), min(len(feature), len(mel) + shift - reach)
        if last > first:
            x.append(feature[first:last])
            y.append(np.lib.stride_tricks.sliding_window_view(mel, last - first, axis=0)[first - shift + lags])
    if not x:
        raise ValueError(f"no clip is long enough for lags of +-{1000 * reach / MEL_RATE:.0f} ms around its offset")
    picture = np.concatenate(x).astype(float)
    sound = np.concatenate(y, axis=-1).astype(float)  # (lags, bands, frames)
    picture -= picture.mean(0)
    sound -= sound.mean(-1, keepdims=True)

    gram = picture.T @ picture
    gram[np.diag_indices_from(gram)] += ridge * np.trace(gram) / len(gram)
    cross = sound @ picture
    weights = np.linalg.solve(gram, cross.transpose(0, 2, 1))
    explained = (cross.transpose(0, 2, 1) * weights).sum((1, 2)) / np.square(sound).sum((1, 2))
    best = int(explained.argmax())
    at_edge = best in (0, len(lags) - 1)
    return Calibration(10.0 * (lags[best] + peak(explained, best)), 10.0 * lags, explained, at_edge)


def peak(curve: np.ndarray, index: int) -> float:
    """Where a parabola through a maximum and its neighbours peaks, -0.5..0.5 from it."""
    if index in (0, len(curve) - 1):
        return 0.0
    before, at, after = curve[index - 1 : index + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend else 0.0
