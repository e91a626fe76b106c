"""The network that mends DIS flow: vectors in, convex combinations of them out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.motion import refined_dis as r


@pytest.fixture(scope="module")
def net():
    module = r.RefinedDis(widths=(4, 4, 4, 4))
    zeros = jnp.zeros((1, 32, 64, 3)), jnp.zeros((1, 32, 64, 2))
    variables = jax.jit(module.init)(jax.random.key(0), *(zeros[k] for k in (0, 0, 1, 1)))
    return jax.jit(module.apply), variables


def inputs(rng, size=(1, 32, 64)):
    frames = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    flows = rng.normal(0, 9, (2, *size, 2)).astype(np.float32)
    return frames[0], frames[1], flows[0], flows[1]


def test_what_goes_in_bounds_what_comes_out(net, rng):
    apply, variables = net
    first, second, flow, reverse = inputs(rng)
    results = apply(variables, first, second, flow, reverse)
    assert len(results) == 5 and {x.shape for x in results} == {(1, 32, 64, 2)}
    for result in results:  # corrections start at zero
        assert (result.min((0, 1, 2)) >= flow.min((0, 1, 2)) - 1e-4).all()
        assert (result.max((0, 1, 2)) <= flow.max((0, 1, 2)) + 1e-4).all()


def test_a_common_motion_stays_as_it_is(net, rng):
    apply, variables = net
    first, second, flow, reverse = inputs(rng)
    common = np.broadcast_to(np.float32([37.5, -4.25]), flow.shape)
    for result in apply(variables, first, second, common, reverse):
        np.testing.assert_allclose(result, common, rtol=1e-4)


def test_trust_decides_what_is_pooled():
    flow = jnp.zeros((1, 4, 4, 2)).at[:, 0, 0].set(8.0)
    trust = jnp.full((1, 4, 4, 1), 1e-9).at[:, 0, 0].set(1.0)
    pooled, weight = r.pull(flow, trust, 4)
    np.testing.assert_allclose(pooled[0, 0, 0], 8.0, rtol=1e-4)
    np.testing.assert_allclose(weight[0, 0, 0], 1 / 16, rtol=1e-4)
    pooled, _ = r.pull(flow, jnp.ones_like(trust), 4)
    np.testing.assert_allclose(pooled[0, 0, 0], 0.5, rtol=1e-4)


def test_neighbours_are_read_row_by_row():
    x = jnp.arange(12.0).reshape(1, 3, 4, 1)
    np.testing.assert_array_equal(r.neighbours(x)[0, 1, 1, :, 0], [0, 1, 2, 4, 5, 6, 8, 9, 10])
    np.testing.assert_array_equal(r.neighbours(x)[0, 0, 0, :, 0], [0, 0, 1, 0, 0, 1, 4, 4, 5])


def test_sizes_that_do_not_fit_are_refused(net):
    zeros = jnp.zeros((1, 30, 64, 3)), jnp.zeros((1, 30, 64, 2))
    with pytest.raises(ValueError, match="multiples of 32, not 30x64"):
        r.RefinedDis().init(jax.random.key(0), zeros[0], zeros[0], zeros[1], zeros[1])
