from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from wrp_jax.ops.labels import decide, one_hot
from wrp_jax.types import UNLABELLED


def test_one_hot_of_every_dtype_and_of_unlabelled():
    labels = jnp.array([[[0, 2, UNLABELLED]]], jnp.uint8)
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        hot = one_hot(labels, 3, dtype)
        assert hot.dtype == dtype
        np.testing.assert_array_equal(hot[0, 0], [[1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_decide_returns_the_first_of_equals():
    labels, confidence = decide(jnp.array([[[[0.2, 0.4, 0.4], [0.7, 0.2, 0.1]]]]))
    np.testing.assert_array_equal(labels, [[[1, 0]]])
    np.testing.assert_allclose(confidence, [[[0.4, 0.7]]])
    assert labels.dtype == jnp.int32


def test_decide_undoes_one_hot(rng):
    labels = jnp.asarray(rng.integers(0, 7, (2, 5, 6)), jnp.int32)
    decided, confidence = decide(one_hot(labels, 7))
    np.testing.assert_array_equal(decided, labels)
    np.testing.assert_array_equal(confidence, 1)
