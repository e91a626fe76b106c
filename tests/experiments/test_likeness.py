"""Counting who is right, motion or segmentation."""

import numpy as np

from experiments.likeness import contest, total
from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES, Hypotheses

MOTION, SEGMENTATION = HYPOTHESES.index("composed"), HYPOTHESES.index("segmentation")


def guesses():
    """Four pixels: agreed; motion right; segmentation right; both wrong."""
    says = np.zeros((1, 4, len(HYPOTHESES)), int)
    says[0, :, MOTION] = [0, 1, 0, 0]
    says[0, :, SEGMENTATION] = [0, 0, 1, 2]
    valid, age = np.ones((1, 4, len(HYPOTHESES))), np.zeros((1, 4))
    valid[0, 1], age[0, 2] = 0, 1  # the second looked outside, the third left the view
    nothing = np.zeros((1, 4))
    votes = np.eye(3)[says]
    truth = np.array([[10, 11, 11, 11]])
    one = Hypotheses(votes, valid, valid, nothing, age, nothing, nothing, 4, nothing)
    return 4, np.array([10, 11, 12]), one, truth


def test_only_differing_pixels_count_each_at_its_place():
    counts = contest(*guesses())
    assert {place: c.tolist() for (_, place), c in counts.items()} == {
        "in view": [1, 0, 0],
        "left it on the way": [1, 0, 1],
        "outside": [1, 1, 0],
    }
    assert {distance for distance, _ in counts} == {(3, 5)}


def test_parts_add_up():
    counts = contest(*guesses())
    both = total([counts, counts])
    assert all((both[key] == 2 * counts[key]).all() for key in counts)
