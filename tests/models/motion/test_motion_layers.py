from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.motion import layers


def test_transposed_convolution_is_a_convolution_of_the_dilated_input():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 3, 5, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(4, 4, 4, 6)), jnp.float32)
    bias = jnp.arange(6.0)
    expected = jax.lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    got = layers.conv_transpose(x, kernel, bias)
    np.testing.assert_allclose(got, expected + bias, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_one_by_one_convolution_is_a_convolution(stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(1, 5, 6, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(1, 1, 4, 3)), jnp.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(layers.conv(x, kernel, stride=stride), expected, atol=1e-6)


def test_batch_norm_keeps_the_unbiased_variance():
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, size=(2, 3, 4, 5)), jnp.float32)
    module = layers.BatchNorm()
    variables = module.init(jax.random.key(0), x, True)
    np.testing.assert_array_equal(variables["batch_stats"]["var"], np.ones(5))
    y, changed = module.apply(variables, x, True, mutable=["batch_stats"])
    flat = np.asarray(x).reshape(-1, 5)
    np.testing.assert_allclose(y.reshape(-1, 5).mean(axis=0), np.zeros(5), atol=1e-5)
    stats = changed["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * flat.var(axis=0, ddof=1), rtol=1e-5)
    frozen = module.apply(variables, x, False)
    np.testing.assert_allclose(frozen, x / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_instance_norm_is_per_sample_and_channel():
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, size=(2, 8, 9, 3)), jnp.float32)
    y = layers.instance_norm(x)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), np.zeros((2, 3)), atol=1e-5)
    np.testing.assert_allclose(y.var(axis=(1, 2)), np.ones((2, 3)), rtol=1e-4)
