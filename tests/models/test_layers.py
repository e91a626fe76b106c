import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models import layers
from wrp_jax.ops.convolution import conv


def test_space_to_depth_and_back():
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    y = layers.space_to_depth(x, 2)
    assert y.shape == (2, 3, 2, 12)
    np.testing.assert_array_equal(y[1, 2, 1, 3:6], x[1, 4, 3])  # row 0, column 1 of the block
    np.testing.assert_array_equal(layers.depth_to_space(y, 2), x)


def test_pad_repeats_the_last_row_and_column():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    padded = layers.pad_to_multiple(x, 4)[0, :, :, 0]
    np.testing.assert_array_equal(padded[:2], [[0, 1, 2, 2], [3, 4, 5, 5]])
    np.testing.assert_array_equal(padded[2:], [[3, 4, 5, 5]] * 2)
    assert layers.pad_to_multiple(padded[None, ..., None], 4).shape == (1, 4, 4, 1)


def test_enlarge_repeats_and_mean_pool_undoes_it():
    x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    y = layers.enlarge(x, 2)
    np.testing.assert_array_equal(y[:, 1::2, ::2], x)
    np.testing.assert_allclose(layers.mean_pool(y, 2), x, rtol=1e-6)


@pytest.mark.parametrize("kernel", [1, 3])
def test_conv_norm_normalises_the_batch_and_remembers(kernel):
    layer = layers.ConvNorm(4, kernel=kernel, relu=False)
    x = 3.0 + 2.0 * jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
    variables = jax.jit(layer.init, static_argnames="train")(jax.random.key(1), x, train=False)
    y, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1.0, atol=1e-3)
    batch = {  # a tenth of each step's statistics is remembered
        "mean": updates["batch_stats"]["norm"]["mean"] / 0.1,
        "var": (updates["batch_stats"]["norm"]["var"] - 0.9) / 0.1,
    }
    again = layer.apply({**variables, "batch_stats": {"norm": batch}}, x, train=False)
    np.testing.assert_allclose(again, y, atol=1e-2)


def test_dense_is_the_1x1_convolution():
    layer = layers.ConvNorm(4, kernel=1, relu=False)
    x = jax.random.normal(jax.random.key(0), (1, 5, 7, 3))
    variables = jax.jit(layer.init, static_argnames="train")(jax.random.key(1), x, train=False)
    kernel = variables["params"]["conv"]["kernel"]
    plain = jax.lax.conv_general_dilated(
        x, kernel[None, None], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(layer.apply(variables, x, train=False), plain, atol=1e-4)


@pytest.mark.parametrize("strides", [1, 2])
def test_basic_block_halves_the_sides(strides):
    block = layers.BasicBlock(6, strides)
    x = jnp.ones((1, 8, 12, 4))
    variables = jax.jit(block.init, static_argnames="train")(jax.random.key(0), x, train=False)
    y = block.apply(variables, x, train=False)
    assert y.shape == (1, 8 // strides, 12 // strides, 6)
    assert (y >= 0).all()


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


def test_relu_is_jaxs_relu_with_its_gradient():
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0, jnp.nan, jnp.inf, -jnp.inf])
    np.testing.assert_array_equal(layers.relu(x), jax.nn.relu(x))
    gradients = [jax.vmap(jax.grad(f))(x[:5]) for f in (layers.relu, jax.nn.relu)]
    np.testing.assert_array_equal(*gradients)
    assert layers.relu(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_blocks_do_not_compute_the_shortcuts_of_earlier_blocks_again():
    def chain(kernels, x):
        for kernel in kernels:
            x = layers.relu(x + conv(layers.relu(x), kernel))
        return x

    kernels = jnp.ones((8, 3, 3, 4, 4)) / 100
    compiled = jax.jit(chain).lower(kernels, jnp.ones((1, 16, 16, 4))).compile().as_text()
    entry = compiled[compiled.index("ENTRY") :].splitlines()
    loops = [line.split(" fusion(")[1] for line in entry if "kind=kLoop" in line]
    inputs = [line.split("), kind")[0].count("%") for line in loops]
    assert max(inputs) <= 4, inputs  # not one more for every block before
