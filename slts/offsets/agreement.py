"""Agreement of predicted with reference audio-visual offsets (SLTS section 4.4)."""

import numpy as np


def offset_agreement(reference_ms: np.ndarray, predicted_ms: np.ndarray) -> dict[str, float | None]:
    """How well predicted offsets d (n,) match reference offsets y (n,), both in milliseconds.

    y is what the metric frontend or SyncNet found, or the injected truth; d is DSM's. The order is the paper's.

    r2: 1 - sum (y - d)^2 / sum (y - mean y)^2, the paper's Offset-R2. A prediction of 0 for all gives at most 0.
    r2_centred: the same with the bias taken out of d, since a system's constant offset is not observable from lips.
    bias_ms: mean (d - y). mae_ms: mean |d - y|. within_10ms: share of |d - y| <= 10.
    r2 and r2_centred are None when y does not vary. Raises ValueError for empty, unequal or non-finite arrays.
    """
    y, d = np.asarray(reference_ms, float), np.asarray(predicted_ms, float)
    if y.ndim != 1 or y.shape != d.shape or y.size == 0:
        raise ValueError(f"offsets must be two arrays (n,) with n >= 1, got {y.shape} and {d.shape}")
    if not (np.isfinite(y).all() and np.isfinite(d).all()):
        raise ValueError("offsets are not finite; leave out the clips without one")
    error = d - y
    spread = np.square(y - y.mean()).sum()
    varies = spread > 1e-12 * max(1.0, np.square(y).sum())
    return {
        "r2": float(1 - np.square(error).sum() / spread) if varies else None,
        "r2_centred": float(1 - np.square(error - error.mean()).sum() / spread) if varies else None,
        "bias_ms": float(error.mean()),
        "mae_ms": float(np.abs(error).mean()),
        # Offsets are often multiples of 10 ms held in floating point.
        "within_10ms": float((np.abs(error) <= 10 + 1e-6).mean()),
    }
