"""What several posteriors become: closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wrp_jax.propagation.fusion import LEAST_TRUST, fuse, side_weight

SHAPE = (2, 3)
TRUST = arrays.arrays(np.float16, (2, *SHAPE), elements=st.floats(0, 1, width=16))
DISTANCE = st.integers(1, 30)


def posteriors(seed, sides=2, classes=4):
    rng = np.random.default_rng(seed)
    return list(rng.dirichlet(np.ones(classes), (sides, *SHAPE)).astype(np.float16))


def weights_of(distances, trust):
    return [side_weight(d, t, 0.95) for d, t in zip(distances, trust, strict=True)]


@given(st.integers(0, 99), TRUST, DISTANCE, DISTANCE)
def test_what_all_say_alike_stays(seed, trust, near, far):
    (same,) = posteriors(seed, 1)
    fused = fuse([same, same], weights_of((near, far), trust))
    np.testing.assert_array_equal(fused.place, same.argmax(-1))
    np.testing.assert_allclose(fused.confidence, same.max(-1), rtol=1e-6)


@given(st.integers(0, 99), TRUST, DISTANCE, DISTANCE)
def test_the_order_plays_no_part(seed, trust, near, far):
    probs, weights = posteriors(seed), weights_of((near, far), trust)
    there, back = fuse(probs, weights), fuse(probs[::-1], weights[::-1])
    np.testing.assert_array_equal(there.place, back.place)
    np.testing.assert_array_equal(there.confidence, back.confidence)  # to the last bit
    best = [weight * np.take_along_axis(p, there.place[..., None], -1)[..., 0]
            for p, weight in zip(probs, weights, strict=True)]  # fmt: skip
    apart = best[0] != best[1]
    np.testing.assert_array_equal(there.side[apart], 1 - back.side[apart])


def test_the_mean_is_weighed_by_distance_and_trust():
    weights = [
        side_weight(1, np.array([[1.0, 0.0, 0.0]], np.float16), 0.5),
        side_weight(3, np.array([[1.0, 1.0, 0.0]], np.float16), 0.5),
    ]
    least = LEAST_TRUST
    np.testing.assert_allclose(weights[0], [[0.5, 0.5 * least, 0.5 * least]], rtol=1e-6)
    np.testing.assert_allclose(weights[1], [[0.125, 0.125, 0.125 * least]], rtol=1e-6)
    probs = [np.broadcast_to(np.eye(2, dtype=np.float16)[side], (1, 3, 2)) for side in (0, 1)]
    fused = fuse(probs, weights)
    np.testing.assert_array_equal(fused.place, [[0, 1, 0]])  # lost from the nearer: the farther's
    np.testing.assert_array_equal(fused.side, fused.place)
    expected = 0.125 / (0.125 + 0.5 * least)
    np.testing.assert_allclose(fused.confidence, [[0.8, expected, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("sides", [1, 3])
def test_any_number_of_sides(sides):
    probs = posteriors(7, sides)
    fused = fuse(probs, [np.ones(SHAPE, np.float32)] * sides)
    mean = np.mean(np.array(probs, np.float64), axis=0)
    np.testing.assert_array_equal(fused.place, mean.argmax(-1))
    np.testing.assert_allclose(fused.confidence, mean.max(-1), rtol=1e-6)
