from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops import resize as resize_module
from wrp_jax.ops.resize import resize


@pytest.mark.parametrize("size", [(34, 62), (51, 93), (9, 11), (17, 31), (1, 1)])
def test_equals_opencv(rng, size):
    image = rng.uniform(size=(17, 31, 3)).astype(np.float32)
    ours = resize(jnp.asarray(image)[None], size)[0]
    theirs = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_same_size_is_the_identity(rng):
    image = jnp.asarray(rng.uniform(size=(2, 5, 7, 3)), jnp.float32)
    np.testing.assert_allclose(resize(image, (5, 7)), image, atol=1e-6)


def test_a_distribution_stays_one(rng):
    probs = rng.dirichlet(np.ones(4), size=(1, 6, 5)).astype(np.float32)
    for antialias in (False, True):
        for size in ((13, 17), (3, 2)):
            result = resize(jnp.asarray(probs), size, antialias=antialias)
            np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
            assert float(result.min()) >= 0


def test_antialias_averages_and_plain_shrinking_does_not():
    stripes = jnp.asarray(np.tile([0.0, 0.0, 0.0, 1.0], 4)[None, None, :, None], jnp.float32)
    np.testing.assert_allclose(resize(stripes, (1, 4))[0, 0, :, 0], 0.0, atol=1e-6)
    averaged = resize(stripes, (1, 4), antialias=True)[0, 0, :, 0]
    assert float(averaged.min()) > 0.1


@pytest.mark.parametrize("size", [(34, 62), (9, 40), (17, 11)])
def test_the_way_back_is_the_transpose(rng, size):
    x = jnp.asarray(rng.normal(size=(2, 17, 31, 3)), jnp.float32)
    y, pull = jax.vjp(lambda x: resize(x, size), x)
    weights = jnp.asarray(rng.normal(size=y.shape), jnp.float32)
    np.testing.assert_allclose(jnp.vdot(pull(weights)[0], x), jnp.vdot(weights, y), rtol=1e-4)
    np.testing.assert_allclose(resize_module._by_products(x, size), y, atol=1e-5)
