import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from wrp_jax.evaluation.confusion import (
    confusion,
    interior,
    iou,
    mean_accuracy,
    mean_iou,
    mean_iou_with_void,
    pixel_accuracy,
)
from wrp_jax.types import UNLABELLED


def naive_scores(truth, prediction, num_classes, left_out):
    """IoU pixel by pixel, as the definition reads."""
    scores = []
    for c in range(num_classes):
        inter = union = true = 0
        for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
            if left_out[t]:
                continue
            true += t == c
            inter += t == c and p == c
            union += t == c or p == c
        if true:
            scores.append(inter / union)
    return scores


@hypothesis.given(data=st.data(), num_classes=st.integers(1, 5))
@hypothesis.settings(max_examples=60, deadline=None)
def test_equals_naive_loop(data, num_classes):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    truth = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(0, num_classes - 1)))
    values = st.sampled_from([*range(num_classes), UNLABELLED])
    prediction = data.draw(hnp.arrays(np.int32, shape, elements=values))
    void = data.draw(st.lists(st.booleans(), min_size=num_classes, max_size=num_classes))

    matrix = confusion(truth, prediction, num_classes)
    assert matrix.sum() == truth.size
    for t in range(num_classes):
        for p in range(num_classes):
            assert matrix[t, p] == np.sum((truth == t) & (prediction == p))
        assert matrix[t, -1] == np.sum((truth == t) & (prediction == UNLABELLED))

    for left_out, got in [
        (void, mean_iou(matrix, void)),
        ([False] * num_classes, mean_iou_with_void(matrix)),
    ]:
        expected = naive_scores(truth, prediction, num_classes, left_out)
        if expected:
            np.testing.assert_allclose(got, np.mean(expected))
        else:
            assert np.isnan(got)


def test_matrices_add_up():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 4, (2, 8, 9))
    parts = [confusion(truth[i], prediction[i], 4) for i in range(8)]
    np.testing.assert_array_equal(sum(parts), confusion(truth, prediction, 4))


def test_void_prediction_is_a_miss_and_void_truth_is_not_scored():
    truth = np.array([[0, 0, 0, 0, 1, 1, 2, 2]])
    prediction = np.array([[0, 0, 2, UNLABELLED, 1, 1, 0, 1]])
    matrix = confusion(truth, prediction, 3)
    void = (False, False, True)
    np.testing.assert_allclose(iou(matrix, void), [2 / 4, 1.0, np.nan])
    assert mean_iou(matrix, void) == pytest.approx(0.75)
    # With void as a class: sky gains a false positive, so does 1, and void itself scores 0.
    np.testing.assert_allclose(iou(matrix), [2 / 5, 2 / 3, 0.0])


def test_class_that_is_only_predicted_does_not_occur():
    matrix = confusion(np.zeros((1, 4), int), np.array([[0, 0, 0, 1]]), 2)
    assert mean_iou(matrix) == pytest.approx(0.75)


def test_truth_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="not 0 … 1"):
        confusion(np.array([[0, 255]]), np.array([[0, 0]]), 2)


def test_uint8_with_many_classes_does_not_overflow():
    truth = np.array([[200, 3]], np.uint8)
    matrix = confusion(truth, truth, 201)
    assert matrix[200, 200] == matrix[3, 3] == 1 and matrix.sum() == 2


def test_interior_keeps_its_distance():
    truth = np.zeros((9, 20), int)
    truth[:, 10:] = 1  # boundary pixels: columns 9 and 10
    for pixels in (1, 3):
        expected = np.ones((9, 20), bool)
        expected[:, 9 - (pixels - 1) : 10 + pixels] = False
        np.testing.assert_array_equal(interior(truth, pixels), expected)


@pytest.mark.parametrize("seed", range(5))
def test_accuracies_as_papers_on_nyu_define_them(seed):
    rng = np.random.default_rng(seed)
    truth, said = rng.integers(0, 4, (2, 12, 15))
    said[0] = 255  # nothing is said there: wrong
    matrix = confusion(truth, said, 5)  # the last class never occurs
    void = (False, False, True, False, False)
    scored = [(t, s) for t, s in zip(truth.flat, said.flat, strict=True) if t != 2]
    assert pixel_accuracy(matrix, void) == pytest.approx(np.mean([t == s for t, s in scored]))
    by_class = [np.mean([s == c for t, s in scored if t == c]) for c in (0, 1, 3)]
    assert mean_accuracy(matrix, void) == pytest.approx(np.mean(by_class))
    nothing = np.zeros_like(matrix)
    assert np.isnan(pixel_accuracy(nothing)) and np.isnan(mean_accuracy(nothing))
