import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops import depthwise
from wrp_jax.ops.depthwise import depthwise_conv, same_padding


@pytest.mark.parametrize(
    ("size", "k", "stride"),
    [((3, 5), 3, 1), ((6, 8), 3, 2), ((5, 8), 5, 2)],
)
def test_values_and_gradients_are_those_of_a_grouped_convolution(rng, size, k, stride):
    x = jnp.asarray(rng.normal(size=(2, *size, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(k, k, 1, 3)), jnp.float32)
    shape = jax.eval_shape(lambda x: depthwise._plain(x, kernel, stride), x).shape
    assert shape[1:3] == tuple(-(-side // stride) for side in size)
    weights = jnp.asarray(rng.normal(size=shape), jnp.float32)

    def found(convolve):
        def total(x, kernel):
            y = convolve(x, kernel)
            return (y * weights).sum(), y

        return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(x, kernel)

    ours = found(lambda x, kernel: depthwise_conv(x, kernel, stride=stride))
    theirs = found(lambda x, kernel: depthwise._plain(x, kernel, stride))
    for got, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "zeros"),
    [(224, 3, 2, (0, 1)), (112, 5, 2, (1, 2)), (7, 3, 2, (1, 1)), (9, 5, 1, (2, 2))],
)
def test_zeros_around_are_those_of_tensorflow(size, kernel, stride, zeros):
    assert same_padding(size, kernel, stride) == zeros
