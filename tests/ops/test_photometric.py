from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from wrp_jax.ops.photometric import patch_error, photometric_error, trust_mask


def test_error_is_the_rgb_distance():
    target = jnp.zeros((1, 2, 3, 3))
    source = jnp.broadcast_to(jnp.array([0.3, 0.0, 0.4]), (1, 2, 3, 3))
    error = photometric_error(target, source, jnp.zeros((1, 2, 3, 2)))
    np.testing.assert_allclose(error, 0.5, rtol=1e-6)


def test_a_shifted_image_has_no_error_where_its_source_is_inside(rng):
    source = rng.uniform(size=(1, 8, 9, 3)).astype(np.float32)
    target = np.roll(source, 2, axis=2)
    flow = jnp.broadcast_to(jnp.array([-2.0, 0.0]), (1, 8, 9, 2))
    error = photometric_error(jnp.asarray(target), jnp.asarray(source), flow)
    assert float(error[:, :, 2:].max()) < 1e-5
    assert float(error[:, :, :2].max()) > 0.1


def test_the_mask_is_the_indicator():
    photometric = jnp.array([[[0.1, 0.5, 0.7]]])
    valid = jnp.array([[[1.0, 1.0, 1.0]]])
    np.testing.assert_array_equal(trust_mask(photometric, valid, 0.5), [[[1, 0, 0]]])


def test_invalid_is_never_trusted(rng):
    photometric = jnp.asarray(rng.uniform(size=(1, 4, 5)), jnp.float32)
    for softness in (0.0, 0.1):
        mask = trust_mask(photometric, jnp.zeros((1, 4, 5)), 10.0, softness=softness)
        np.testing.assert_array_equal(mask, 0)


def test_the_soft_mask_approaches_the_indicator(rng):
    photometric = jnp.asarray(rng.uniform(size=(1, 9, 9)), jnp.float32)
    valid = jnp.ones((1, 9, 9))
    soft = trust_mask(photometric, valid, 0.5, softness=1e-6)
    np.testing.assert_allclose(soft, trust_mask(photometric, valid, 0.5), atol=1e-3)


def test_tau_gets_a_gradient_through_the_soft_mask_only(rng, x64):
    photometric, valid = jnp.asarray(rng.uniform(size=(1, 4, 5))), jnp.ones((1, 4, 5))
    soft = jax.jit(lambda p, t: trust_mask(p, valid, t, softness=0.2))
    check_grads(soft, (photometric, np.array(0.5)), 1)
    hard = jax.grad(lambda t: trust_mask(photometric, valid, t).sum())(jnp.array(0.5))
    assert float(hard) == 0


def test_error_gradients_equal_finite_differences(rng, x64):
    flow = rng.uniform(0.2, 0.8, (1, 4, 5, 2))
    images = [rng.uniform(size=(1, 4, 5, 3)) for _ in range(2)]
    check_grads(jax.jit(photometric_error), (*images, flow), 1, modes=["rev"])


def test_the_error_of_a_patch_is_its_mean_as_far_as_it_is_inside(rng):
    target, source = (jnp.asarray(rng.uniform(size=(1, 6, 7, 3)), jnp.float32) for _ in range(2))
    still = jnp.zeros((1, 6, 7, 2))
    each = np.asarray(photometric_error(target, source, still))[0]
    found = np.asarray(patch_error(target, source, still, 2))[0]
    for y, x in [(3, 3), (0, 0), (5, 1), (2, 6)]:
        near = each[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        np.testing.assert_allclose(found[y, x], near.mean(), rtol=1e-5)
    # What fills a frame up plays no part.
    sides = ((0, 0), (0, 3), (0, 2), (0, 0))
    large = [jnp.pad(x, sides, constant_values=0.7) for x in (target, source)]
    filled = patch_error(*large, jnp.zeros((1, 9, 9, 2)), 2, (6, 7))
    np.testing.assert_allclose(filled[0, :6, :7], found, rtol=1e-5)


def test_the_error_of_a_patch_that_comes_from_nowhere_is_infinite():
    image = jnp.ones((1, 4, 5, 3))
    flow = jnp.zeros((1, 4, 5, 2)).at[0, 1, 1].set(jnp.nan).at[0, 2, 3].set(9.0)
    error = patch_error(image, image, flow, 1)
    assert np.isinf(error[0, 1, 1]) and np.isinf(error[0, 2, 3])
    assert np.isfinite(error).sum() == 18
