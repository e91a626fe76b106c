import numpy as np
import pytest

from experiments.quality import Frame, compare, fit_weights, quantiles_of_spreads, spearman
from wrp_jax.evaluation.reliability import BINS
from wrp_jax.quality.estimate import Weights, class_errors
from wrp_jax.quality.evidence import SIGNS

TRUE = Weights(border=0.2, shift=1.0, unsure=0.0, lost=2.0, few=1.5)
VOID = np.array([False, False, False])


def frames(count, noise=0.0):
    """Frames of three classes whose IoU follows from their signs."""
    rng, found = np.random.default_rng(0), []
    for i in range(count):
        evidence = np.zeros((3, len(SIGNS)), np.float32)
        evidence[:, 0] = rng.uniform(200, 4000, 3)
        evidence[:, 6] = evidence[:, 0] * rng.uniform()
        evidence[:, 1:5] = evidence[:, :1] * rng.uniform(0, 0.3, (3, 4))
        iou = 1 / (1 + class_errors(evidence, TRUE)) + noise * rng.standard_normal(3)
        told = tuple(100 * float(iou.mean()) + d for d in (0.0, -1.0, 1.0))
        known, sums = np.ones(3, bool), np.zeros((3, BINS))
        sums[:, 9] = 10, 4.5, 5
        found.append(Frame(evidence, known, iou, i % 10 + 1, rng.uniform(), sums, told))
    return found


def test_rank_correlation():
    assert spearman([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)
    assert spearman([1, 1, 2], [3, 3, 9]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)


def test_weights_are_found_again_and_none_is_below_zero():
    found = fit_weights(frames(60), VOID)
    np.testing.assert_allclose(found, TRUE, atol=0.02)
    assert min(fit_weights(frames(60, noise=0.05), VOID)) >= 0
    spreads = quantiles_of_spreads(frames(30), VOID, found)
    assert len(spreads) == 10 and max(map(abs, spreads)) < 0.05


def test_estimates_are_compared_with_baselines():
    figures = compare(frames(40))
    assert figures["estimate"] == pytest.approx(1.0) and figures["off"] == pytest.approx(0.0)
    assert figures["held"] == 100 and figures["frames"] == 40
    assert abs(figures["confidence"]) < 0.5
    assert figures["calibration_error"] == pytest.approx(5.0)
