import numpy as np
import pytest

from wrp_jax.evaluation.reliability import BINS, Reliability

SCORED = np.array([True, True, False])


def test_closed_form():
    # Four pixels at 0.9, three of them right; two at 0.55, both right; one void pixel.
    confidence = np.array([0.9] * 4 + [0.55] * 2 + [0.1])
    labels = np.array([0, 0, 1, 1, 1, 0, 1])
    truth = np.array([0, 0, 1, 0, 1, 0, 2])
    reliability = Reliability()
    for part in (slice(0, 3), slice(3, 7)):  # sums merge
        reliability.add(confidence[part], labels[part], truth[part], SCORED)
    assert reliability.accuracy == pytest.approx(5 / 6)
    assert reliability.expected_error == pytest.approx((4 * 0.15 + 2 * 0.45) / 6)
    curve = reliability.curve()
    assert [round(bin["confidence"], 6) for bin in curve] == [0.55, 0.9]
    assert [bin["accuracy"] for bin in curve] == [1.0, 0.75]


def test_an_honest_labelling_has_no_error(rng):
    confidence = rng.uniform(0.3, 1.0, 200_000)
    right = rng.uniform(size=confidence.size) < confidence
    reliability = Reliability()
    reliability.add(confidence, np.zeros(right.shape, int), 1 - right.astype(int), SCORED)
    assert reliability.expected_error < 0.01
    assert reliability.count.sum() == confidence.size and len(reliability.count) == BINS


def test_what_is_called_void_or_nothing_claims_nothing():
    reliability = Reliability()
    labels, truth = np.array([2, 255, 0, 1]), np.array([0, 0, 0, 0])
    reliability.add(np.array([0.3, 0.4, 0.8, 0.9]), labels, truth, SCORED)
    assert reliability.count.sum() == 2 and reliability.accuracy == 0.5
    assert reliability.summary()["confidence"] == pytest.approx(0.85)


def test_nothing_scored_is_no_error():
    assert Reliability().expected_error == 0.0
    summary = Reliability().summary()
    assert summary["curve"] == [] and summary["pixels"] == 0
    assert [summary[key] for key in ("expected_error", "accuracy", "confidence")] == [None] * 3
