"""L1, PSNR and SSIM of pictures, by hand."""

import math

import numpy as np
import pytest

from slts.metrics.picture_quality import l1, psnr, ssim


def test_l1_and_psnr_by_hand():
    truth = np.array([[0, 100], [200, 255]], np.uint8)
    drawn = np.array([[10, 100], [180, 255]], np.uint8)
    assert l1(truth, drawn) == pytest.approx(30 / 4 / 255)
    assert psnr(truth, drawn) == pytest.approx(10 * math.log10(255**2 / ((100 + 400) / 4)))
    assert l1(drawn, truth) == l1(truth, drawn)
    assert l1(truth, truth) == 0 and psnr(truth, truth) == pytest.approx(58.92, abs=0.01)


def test_ssim_of_flat_pictures_is_that_of_their_light():
    a, b = (np.full((2, 1, 12, 14), level, np.uint8) for level in (100, 150))
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def test_ssim_by_the_formula_of_each_window():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 13, 12)).astype(np.uint8)
    place = np.arange(11) - 5
    weight = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    found = []
    for row in range(3):
        for column in range(2):
            a, b = (p[row : row + 11, column : column + 11].astype(float) for p in (x, y))
            mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
            var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
            cov = (weight * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = 2.55**2, 7.65**2
            alike = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
            found.append(alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    assert ssim(x[None, None], y[None, None]) == pytest.approx(np.mean(found), rel=1e-9)


def test_ssim_of_colours_is_of_their_luma():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (2, 3, 16, 16)).astype(np.uint8)
    assert ssim(x, x) == pytest.approx(1)
    noisy = np.clip(x + rng.normal(0, 20, x.shape), 0, 255).astype(np.uint8)
    noisier = np.clip(x + rng.normal(0, 60, x.shape), 0, 255).astype(np.uint8)
    assert 1 > ssim(x, noisy) > ssim(x, noisier)
