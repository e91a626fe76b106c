"""The paper's loss on cycles: its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.refine.pix2pix import build_pix2pix
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.rollout import cycle_order
from wrp_jax.propagation.step import MaskOptions
from wrp_jax.training.refiner.pix2pix.unrolled import chain_loss
from wrp_jax.types import ClipCues


def small_cycle(rng, length=2):
    n, h, w = length + 1, 8, 8
    clip = ClipCues(
        frames=rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
        flow_backward=rng.normal(size=(n - 1, h, w, 2)),
        flow_forward=rng.normal(size=(n - 1, h, w, 2)),
        probs=rng.dirichlet(np.ones(3), (n, h, w)),
        features=rng.normal(size=(n, 2, 2, 4)),
    )
    label = jnp.asarray(rng.integers(0, 3, (1, h, w)))
    return clip, cycle_order(0, length), label


@pytest.mark.parametrize("unrolled,remat", [(False, False), (True, True)])
def test_gradients_of_the_cycle_loss_match_finite_differences(rng, unrolled, remat, x64):
    clip, order, label = small_cycle(rng)
    network = build_pix2pix(width=2, scales=1, blocks=1)
    cues = chain_cues(clip, order)
    variables = network.init(jax.random.key(0), cues.probs[0], cues.features[0])
    variables = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), variables)

    @jax.jit
    def loss_and_slopes(params, tau):
        def loss(params, tau):
            mask = MaskOptions(tau, softness=0.2)
            both = {**variables, "params": params}
            return chain_loss(
                network, both, cues, label, mask, jnp.ones(3), unrolled=unrolled, remat=remat
            )[0]

        return jax.value_and_grad(loss, argnums=(0, 1))(params, tau)

    def loss(params, tau):
        return loss_and_slopes(params, tau)[0]

    params, tau = variables["params"], jnp.asarray(0.8)
    _, slopes = loss_and_slopes(params, tau)
    step = 1e-6
    rise = (loss(params, tau + step) - loss(params, tau - step)) / (2 * step)
    np.testing.assert_allclose(slopes[1], rise, rtol=1e-4)
    assert abs(float(rise)) > 1e-7
    direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), params)
    up, down = (
        loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction), tau)
        for s in (step, -step)
    )
    slope = sum(
        jnp.vdot(g, d)
        for g, d in zip(jax.tree.leaves(slopes[0]), jax.tree.leaves(direction), strict=True)
    )
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-3)
