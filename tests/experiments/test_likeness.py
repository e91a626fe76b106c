"""Counting who is right, motion or segmentation."""

import numpy as np

from experiments.likeness import Said, contest, side_contest, total

TRUTH = np.array([[0, 1, 1, 1, -1]])


def said(step=4, direct=(0, 1, 0, 0, 0)):
    """Agreed; motion right; segmentation right; both wrong; void."""
    composed, segmentation = np.array([[0, 1, 0, 0, 0]]), np.array([[0, 0, 1, 2, 1]])
    inside = np.array([[True, False, True, True, True]])
    left = np.array([[False, False, True, False, False]])
    return Said(step, composed, np.array([direct]), segmentation, inside, left)


def test_only_differing_pixels_count_each_at_its_place():
    counts = contest(said(), TRUTH)
    assert {place: c.tolist() for (_, place), c in counts.items()} == {
        "anywhere": [4, 2, 2],
        "in view": [1, 0, 0],
        "left it on the way": [1, 0, 1],
        "outside": [1, 1, 0],
    }
    assert {distance for distance, _ in counts} == {(3, 5)}


def test_of_two_sides_count_pixels_on_which_they_agree_against_segmentation():
    near, far = (said(step)._replace(inside=np.ones((1, 5), bool)) for step in (2, 19))
    assert {k: c.tolist() for k, c in side_contest(near, far, TRUTH).items()} == {
        ((1, 2), "both sides"): [3, 1, 1]
    }
    far = far._replace(direct=np.array([[0, 1, 1, 0, 0]]))
    assert [c.tolist() for c in side_contest(near, far, TRUTH).values()] == [[2, 1, 0]]
    assert [c[0] for c in side_contest(said(2), far, TRUTH).values()] == [1]  # one looks outside


def test_parts_add_up():
    counts = contest(said(), TRUTH)
    both = total([counts, counts])
    assert all((both[key] == 2 * counts[key]).all() for key in counts)
