import numpy as np
import pytest

from experiments.baselines import expected_error, perceptual_consistency, removed
from wrp_jax.propagation.confidence import isotonic


def test_what_looks_alike_should_have_the_same_label():
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (200, 40, 40), (40, 40, 200)
    labels = np.zeros((48, 64), np.int32)
    labels[:, 32:] = 1
    assert perceptual_consistency(image, labels, image, labels, 2) == pytest.approx(1.0)
    shifted = np.roll(labels, 16, axis=1)
    worse = perceptual_consistency(image, shifted, image, labels, 2)
    worst = perceptual_consistency(image, 1 - labels, image, labels, 2)
    assert worst < worse < 0.95
    assert perceptual_consistency(image, labels + 9, image, labels + 9, 2) == 0.0  # no class at all


def test_errors_that_a_flag_finds():
    counts = np.zeros((2, 256), int)
    counts[:, 10], counts[:, 250] = (10, 2), (90, 86)  # 12 errors, 8 of them among the unsure
    assert removed(counts, 0.1) == pytest.approx((8 / 12, 10 / 12))
    assert removed(counts, 0.05) == pytest.approx((4 / 12, 5 / 12))
    assert removed(counts, 1.0) == (1.0, 1.0)
    counts[1] = counts[0]
    assert removed(counts) == (1.0, 1.0)


def test_isotonic_regression_mends_confidence():
    counts = np.zeros((2, 256), int)
    counts[:, [50, 100, 150, 200]] = [[100, 100, 100, 100], [30, 60, 40, 90]]
    fitted = isotonic(counts)
    assert expected_error(counts, fitted) < 1e-9 < expected_error(counts, np.arange(256) / 255)
