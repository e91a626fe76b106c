import numpy as np
import pytest

from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.types import UNLABELLED, ClassMap

CLASSES = ClassMap(
    ids=(0, 7, 255),
    names=("road", "car", "void"),
    colors=np.array([[128, 64, 128], [0, 0, 142], [0, 0, 0]], np.uint8),
    void=(False, False, True),
)


def noisy(rng, truth):
    wrong = rng.random(truth.shape) < 0.2
    return np.where(wrong, rng.choice([0, 1, 2, UNLABELLED], truth.shape), truth)


def test_both_directions_count_into_one_matrix_before_the_division():
    rng = np.random.default_rng(0)
    evaluator = Evaluator(CLASSES)
    truths = rng.integers(0, 3, (4, 6, 7))
    predictions = [noisy(rng, t) for t in truths]
    for truth, prediction in zip(truths, predictions, strict=True):
        evaluator.add("static", 2, truth, prediction)
    whole = confusion(truths, np.stack(predictions), 3)
    metrics = evaluator.metrics()["static"]
    assert metrics["miou"] == {"2": pytest.approx(100 * mean_iou(whole, CLASSES.void), abs=1e-3)}
    assert metrics["mean"] == metrics["miou"]["2"]
    assert set(metrics["iou_per_class"]) == {"road", "car", "void"}


def test_merged_evaluators_equal_one():
    rng = np.random.default_rng(1)
    one, parts = Evaluator(CLASSES), [Evaluator(CLASSES), Evaluator(CLASSES)]
    for i in range(6):
        truth = rng.integers(0, 3, (5, 5))
        prediction = noisy(rng, truth)
        for evaluator in (one, parts[i % 2]):
            evaluator.add("a" if i < 4 else "b", 1 + i % 3, truth, prediction)
    merged = Evaluator(CLASSES)
    for part in parts:
        merged.merge(part.matrices)
        merged.merge({})
    assert merged.metrics() == one.metrics()


def test_mean_is_over_distances_and_absent_classes_stay_absent():
    evaluator = Evaluator(CLASSES)
    road = np.zeros((8, 8), int)
    half = np.where(np.arange(8) < 4, 0, UNLABELLED) + road
    evaluator.add("m", 1, road, road)
    evaluator.add("m", 3, road, half)
    metrics = evaluator.metrics()["m"]
    assert metrics["miou"] == {"1": 100.0, "3": 50.0}
    assert metrics["mean"] == 75.0
    assert metrics["iou_per_class"] == {"road": {"1": 100.0, "3": 50.0, "mean": 75.0}}


def test_all_void_truth_gives_no_score():
    evaluator = Evaluator(CLASSES)
    void = np.full((4, 4), 2)
    evaluator.add("m", 1, void, void)
    metrics = evaluator.metrics()["m"]
    assert metrics["miou"] == {} and metrics["mean"] is None
    assert metrics["miou_with_void"] == {"1": 100.0}


def test_interior_ignores_a_jittered_border():
    truth = np.zeros((16, 16), int)
    truth[:, 8:] = 1
    evaluator = Evaluator(CLASSES)
    evaluator.add("m", 1, truth, np.roll(truth, 1, axis=1) * (np.arange(16) > 1))
    metrics = evaluator.metrics()["m"]
    assert metrics["mean_interior"] == 100.0 > metrics["mean"]


def test_labelled_frame_is_not_scored():
    with pytest.raises(ValueError, match="distance 0"):
        Evaluator(CLASSES).add("m", 0, np.zeros((2, 2), int), np.zeros((2, 2), int))
