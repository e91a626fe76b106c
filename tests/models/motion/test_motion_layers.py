from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

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


def test_instance_norm_is_per_sample_and_channel():
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, size=(2, 8, 9, 3)), jnp.float32)
    y = layers.instance_norm(x)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), np.zeros((2, 3)), atol=1e-5)
    np.testing.assert_allclose(y.var(axis=(1, 2)), np.ones((2, 3)), rtol=1e-4)
