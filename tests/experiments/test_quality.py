import dataclasses

import numpy as np
import pytest

from experiments.prior import fit_weights, quantiles_of_spreads
from experiments.quality import Frame, compare, spearman, with_other_sets
from wrp_jax.evaluation.reliability import BINS
from wrp_jax.quality.estimate import Weights, class_errors
from wrp_jax.quality.evidence import SIGNS
from wrp_jax.quality.prior import Prior

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
        pixels = np.zeros((2, 256), int)
        pixels[:, [100, 200]] = [[100, 900], [10, 890]]
        consistency = float(iou.mean()) ** 3
        frame = Frame(
            evidence, known, iou, i % 10 + 1, rng.uniform(), sums, pixels, consistency, told
        )
        found.append(frame)
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
    prior = Prior(TRUE, tuple(np.linspace(-0.4, 0.4, 10)))
    figures = compare(frames(40), VOID, prior)
    assert figures["estimate"] == pytest.approx(1.0) and figures["off"] == pytest.approx(0.0)
    assert figures["held"] == 100 and figures["frames"] == 40
    assert abs(figures["confidence"]) < 0.5
    assert figures["calibration_error"] == pytest.approx(5.0)
    assert figures["perceptual"] == pytest.approx(1.0)
    assert figures["removed"] == pytest.approx(45.0) and figures["removed_perfect"] == 50
    assert figures["left_out"] == 4 and figures["held_left_out"] == 100
    assert figures["off_left_out"] < 0.1
    assert figures["calibration_error_left_out"] == pytest.approx(0.0)


def test_intervals_of_other_sets_hold_what_errs_alike():
    def of(seed, worse=0.0):
        found = frames(60, noise=0.02)
        rng = np.random.default_rng(seed)
        return {
            "motion-only": [
                dataclasses.replace(f, iou=f.iou - worse - 0.1 * rng.uniform()) for f in found
            ]
        }

    voids = dict.fromkeys("abc", VOID)
    figures = with_other_sets({"a": of(1), "b": of(2)}, voids)["a"]["motion-only"]
    assert set(figures) == {"held_others", "held_distance", "held_error"}
    assert all(70 <= held <= 98 for held in figures.values()), figures
    worse = with_other_sets({"a": of(1, 0.3), "b": of(2)}, voids)["a"]["motion-only"]
    assert max(worse.values()) < 50
    assert with_other_sets({"a": of(1)}, voids) == {"a": {}}
