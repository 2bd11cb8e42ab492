"""The Frechet distance of two sets of features (FID; Heusel et al., 2017), from moments that stream."""

import numpy as np
from scipy import linalg


class Moments:
    """Mean and covariance of rows that come piece by piece."""

    def __init__(self, size: int):
        self.count, self.sum, self.products = 0, np.zeros(size), np.zeros((size, size))

    def add(self, rows: np.ndarray) -> None:
        """rows: (n, size)."""
        rows = rows.astype(np.float64)
        self.count += len(rows)
        self.sum += rows.sum(0)
        self.products += rows.T @ rows

    @property
    def mean(self) -> np.ndarray:
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        return (self.products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)


def sum_of(parts: list[Moments]) -> Moments:
    """The moments of all rows of the parts, of one size."""
    whole = Moments(len(parts[0].sum))
    for part in parts:
        whole.count += part.count
        whole.sum += part.sum
        whole.products += part.products
    return whole


def frechet_distance(a: Moments, b: Moments) -> float | None:
    """|mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)); None with fewer than two rows on a side."""
    if min(a.count, b.count) < 2:
        return None
    first, second = a.covariance, b.covariance
    # The trace of the root of A B is that of the roots of its eigenvalues, which are real and not negative.
    root = np.sqrt(linalg.eigvals(first @ second).real.clip(0)).sum()
    return float(max(0.0, np.square(a.mean - b.mean).sum() + np.trace(first) + np.trace(second) - 2 * root))
