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


# The picture at once; a few rows at a time; that and Winograd's way where the kernel allows it.
@pytest.mark.parametrize("block,least", [(1024, 512), (20, 512), (20, 0)])
@pytest.mark.parametrize(
    "shape,size,stride",
    [
        ((2, 7, 10, 4), 3, 1),
        ((1, 6, 5, 3), 3, 1),
        ((1, 1, 1, 3), 3, 1),
        ((2, 7, 10, 4), 3, 2),
        ((1, 8, 9, 3), 7, 2),
        ((1, 2, 3, 3), 3, 2),
        ((2, 9, 8, 3), 1, 2),
        ((1, 6, 5, 3), 5, 1),
    ],
)
def test_gradients_are_those_of_the_convolution(monkeypatch, shape, size, stride, block, least):
    jax.clear_caches()  # the blocks are no arguments of what is compiled
    monkeypatch.setattr("wrp_jax.ops.convolution._BLOCK", block)
    monkeypatch.setattr("wrp_jax.ops.convolution._WIDE", least)
    monkeypatch.setattr("wrp_jax.ops.convolution._LARGE", least)
    monkeypatch.setattr("wrp_jax.ops.winograd._BLOCK", block)
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


def test_many_channels_are_as_precise_as_the_convolution(monkeypatch):
    rng = np.random.default_rng(0)
    x, kernel, cotangent = (
        jnp.asarray(rng.normal(size=shape), jnp.float32)
        for shape in ((2, 9, 12, 520), (3, 3, 520, 512), (2, 9, 12, 512))
    )

    def results():
        y, pull = jax.vjp(conv, x, kernel)
        return [y, *pull(cotangent)]

    plainly = results()  # too few pixels
    monkeypatch.setattr("wrp_jax.ops.convolution._LARGE", 0)
    for fast, plain in zip(results(), plainly, strict=True):
        assert 0 < np.abs(fast - plain).max() < 1e-5 * plain.std()


def test_gradients_of_many_channels_are_finite_differences(monkeypatch):
    monkeypatch.setattr("wrp_jax.ops.convolution._WIDE", 0)
    monkeypatch.setattr("wrp_jax.ops.convolution._LARGE", 0)
    rng = np.random.default_rng(0)
    shapes = ((2, 5, 6, 3), (3, 3, 3, 4))
    x, kernel, dx, dkernel = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes * 2
    )
    cotangent = jnp.asarray(rng.normal(size=(2, 5, 6, 4)), jnp.float32)
    y, pull = jax.vjp(conv, x, kernel)
    of_x, of_kernel = pull(cotangent)
    # Linear in each of the two, so that a step of any length gives the derivative.
    for gradient, step, moved in (
        (of_x, dx, conv(x + dx, kernel)),
        (of_kernel, dkernel, conv(x, kernel + dkernel)),
    ):
        difference = (cotangent * (moved - y)).sum()
        np.testing.assert_allclose((gradient * step).sum(), difference, rtol=1e-4, atol=1e-3)


def test_bfloat16_keeps_its_type_in_many_channels(monkeypatch):
    monkeypatch.setattr("wrp_jax.ops.convolution._LARGE", 0)
    x, kernel = jnp.ones((1, 4, 6, 512), jnp.bfloat16), jnp.ones((3, 3, 512, 513))
    gradient = jax.grad(lambda x, k: conv(x, k).astype(jnp.float32).sum(), argnums=(0, 1))
    assert conv(x, kernel).dtype == jnp.bfloat16
    assert [g.dtype for g in gradient(x, kernel)] == [jnp.bfloat16, jnp.float32]
