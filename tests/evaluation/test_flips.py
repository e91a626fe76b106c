"""Labels that change along the flow: closed forms."""

import numpy as np
import pytest

from wrp_jax.evaluation import flips
from wrp_jax.evaluation.flips import Flips, changed_along


def shift(x, y=0.0, size=(5, 8)):
    return np.tile(np.array([x, y], np.float32), (*size, 1))


@pytest.mark.parametrize("rows", [2, 256])
def test_what_moves_with_the_flow_does_not_change(rng, rows, monkeypatch):
    monkeypatch.setattr(flips, "_ROWS", rows)
    target = rng.integers(0, 9, (5, 8))
    source = np.roll(target, (1, 2), (0, 1))  # the scene has moved up and to the left
    np.testing.assert_array_equal(changed_along(target, source, shift(2, 1)), [4 * 6, 0])
    np.testing.assert_array_equal(changed_along(target, source, shift(1.6, 0.7)), [4 * 6, 0])
    still = changed_along(target, source, shift(0))
    np.testing.assert_array_equal(still, [40, (target != source).sum()])


def test_flow_that_leads_nowhere_is_not_counted():
    target, flow = np.zeros((5, 8), int), shift(0)
    flow[0, 0], flow[1, 1], flow[2, 2], flow[3, 0] = (np.nan, 0), (0, np.inf), (6, 0), (-0.1, 0)
    np.testing.assert_array_equal(changed_along(target, target + 1, flow), [36, 36])


def test_sums_keep_pairs_with_truth_apart():
    sums = Flips()
    assert sums.summary() == {"all": None, "scored": None, "truth": None}
    sums.add(np.array([10, 5]))
    sums.add(np.array([10, 1]), np.array([10, 2]))
    assert sums.summary() == {"all": 30.0, "scored": 10.0, "truth": 20.0}
