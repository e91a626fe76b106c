import jax.numpy as jnp
import numpy as np

from wrp_jax.ops.filters import box_mean, gradient_magnitude


def test_box_mean_equals_the_mean_of_each_square():
    image = np.random.default_rng(0).random((2, 5, 7, 3)).astype(np.float32)
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    np.testing.assert_allclose(box_mean(jnp.asarray(image), 2), windows.mean((-1, -2)), atol=1e-6)


def test_box_mean_of_radius_zero_is_the_image():
    image = np.random.default_rng(0).random((1, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(box_mean(jnp.asarray(image), 0), image)


def test_gradient_of_a_ramp_is_its_slope():
    ramp = 0.1 * np.arange(8, dtype=np.float32)[None, None, :, None].repeat(6, axis=1)
    np.testing.assert_allclose(gradient_magnitude(jnp.asarray(ramp))[:, :, 1:-1], 0.1, atol=1e-6)
    np.testing.assert_allclose(gradient_magnitude(jnp.ones(ramp.shape)), 0.0, atol=1e-5)
