"""The measure of fetching, on pictures whose motion is known."""

import jax.numpy as jnp
import numpy as np

from experiments.fetch_error import fetch_errors


def test_the_true_flow_fetches_and_no_flow_does_not(rng):
    source = jnp.asarray(rng.uniform(0, 200, (1, 24, 40, 3)), jnp.float32)
    target = jnp.roll(source, -3, axis=2).at[:, :, -3:].set(source[:, :, -1:])
    true = jnp.zeros((1, 24, 40, 2)).at[..., 0].set(3.0)
    np.testing.assert_allclose(fetch_errors(target, source, true, -true), [0, 0, 1], atol=1e-5)
    # Light changes colours and not structure; half of the frame does not come home.
    half = (-true).at[:, :, 20:].add(1.5)
    colour, structure, home = fetch_errors(target + 30, source, true, half)
    np.testing.assert_allclose([colour, structure, home], [30, 0, 17 / 40], atol=1e-4)
    colour, structure, _ = fetch_errors(target, source, 0 * true, 0 * true)
    assert colour > 50 and structure > 0.3
