import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops.convolution import conv


@pytest.mark.parametrize("stride", [1, 2])
def test_one_by_one_convolution_is_a_convolution(stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(1, 5, 6, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(1, 1, 4, 3)), jnp.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv(x, kernel, stride=stride), expected, atol=1e-6)


@pytest.mark.parametrize("block", [1024, 20])  # the picture at once; a few rows at a time
@pytest.mark.parametrize(
    "shape,size,stride",
    [
        ((2, 7, 10, 4), 3, 1),
        ((2, 7, 10, 4), 3, 2),
        ((1, 8, 9, 3), 7, 2),
        ((1, 2, 3, 3), 3, 2),
        ((2, 9, 8, 3), 1, 2),
        ((1, 6, 5, 3), 5, 1),
    ],
)
def test_gradients_are_those_of_the_convolution(monkeypatch, shape, size, stride, block):
    monkeypatch.setattr("wrp_jax.ops.convolution._BLOCK", block)
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, shape[-1], 5)), jnp.float32)
    bias = jnp.asarray(rng.normal(size=5), jnp.float32)

    def plain(x, kernel, bias):
        dims = ("NHWC", "HWIO", "NHWC")
        pads = ((size // 2, size // 2),) * 2
        return bias + jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pads, dimension_numbers=dims
        )

    y, pull = jax.vjp(lambda *a: conv(*a, stride=stride), x, kernel, bias)
    expected, pull_plain = jax.vjp(plain, x, kernel, bias)
    np.testing.assert_allclose(y, expected, atol=2e-5)
    cotangent = jnp.asarray(rng.normal(size=y.shape), jnp.float32)
    for got, want in zip(pull(cotangent), pull_plain(cotangent), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)
