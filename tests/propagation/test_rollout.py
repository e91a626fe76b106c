from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from propagation.clips import compiled_cues, random_clip

from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.rollout import cycle_order, rollout, rollout_chunked, window_orders
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.types import ClipCues

NAMES = ["hard", "soft", "composed"]
MASK = MaskOptions(0.6, 2.0, 0.4)
ORDERS = np.array([[1, 2, 3, 3], [1, 0, 0, 0]])


def sharpen(probs, features, cues):
    return jax.nn.softmax(3 * probs, axis=-1)


def setup(name, rng, refine=None):
    carrier = build_carrier(name, 3)
    cues = compiled_cues(random_clip(rng), ORDERS)
    labels = jnp.asarray(rng.integers(0, 3, (2, 5, 6)), jnp.int32)
    return make_step(carrier, MASK, refine), carrier.init(labels), cues


def assert_close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.parametrize("refine", [None, sharpen])
@pytest.mark.parametrize("name", NAMES)
def test_scan_equals_the_loop(name, refine, rng):
    step, state, cues = setup(name, rng, refine)
    expected, outputs = state, []
    jitted = jax.jit(step)
    for t in range(3):
        expected, output = jitted(expected, jax.tree.map(lambda x, t=t: x[t], cues))
        outputs.append(output)
    outputs = jax.tree.map(lambda *x: jnp.stack(x), *outputs)
    for unroll in (1, True):
        scan = jax.jit(functools.partial(rollout, step, unroll=unroll))
        assert_close(scan(state, cues), (expected, outputs))


@pytest.mark.parametrize("name", NAMES)
def test_chunks_equal_the_whole(name, rng):
    step, state, cues = setup(name, rng)
    run = jax.jit(functools.partial(rollout, step))
    _, whole = run(state, cues)
    chunks = (jax.tree.map(lambda x, t=t: x[t : t + 1], cues) for t in range(3))
    parts = list(rollout_chunked(run, state, chunks))
    assert len(parts) == 3
    assert_close(jax.tree.map(lambda *x: np.concatenate(x), *parts), whole)


def test_orders():
    np.testing.assert_array_equal(window_orders(4, 1, 3), [[1, 2, 3, 3], [1, 0, 0, 0]])
    np.testing.assert_array_equal(cycle_order(2, 3), [[2, 3, 4, 5, 4, 3, 2]])
    np.testing.assert_array_equal(cycle_order(2, 2, -1), [[2, 1, 0, 1, 2]])


@pytest.mark.parametrize("name", NAMES)
def test_a_cycle_over_static_video_returns_the_label(name, rng):
    labels = jnp.asarray(rng.integers(0, 3, (1, 5, 6)), jnp.int32)
    frame = rng.integers(0, 256, (1, 5, 6, 3), dtype=np.uint8)
    still = np.zeros((3, 5, 6, 2), np.float32)
    wrong = np.full((4, 5, 6, 3), [0, 0, 1], np.float32)
    clip = ClipCues(np.repeat(frame, 4, 0), still, still, wrong, np.zeros((4, 1, 1, 0)))
    carrier = build_carrier(name, 3)
    cues = compiled_cues(clip, cycle_order(0, 3))
    step = make_step(carrier, MaskOptions(0.5, 1.5))
    state, _ = jax.jit(functools.partial(rollout, step))(carrier.init(labels), cues)
    np.testing.assert_array_equal(carrier.read(state).labels, labels)


@pytest.mark.parametrize("name", NAMES)
def test_a_cycle_of_whole_pixels_returns_what_stayed_in_the_frame(name, rng):
    labels = jnp.asarray(rng.integers(0, 3, (1, 5, 12)), jnp.int32)
    flow = np.broadcast_to(np.float32([1, 0]), (2, 5, 12, 2))
    nothing = np.zeros((3, 5, 12, 0), np.float32)
    clip = ClipCues(np.zeros((3, 5, 12, 3), np.uint8), flow, -flow, nothing, nothing[:, :1, :1])
    carrier = build_carrier(name, 3, inpaint=False)
    state, _ = rollout(
        make_step(carrier, None), carrier.init(labels), compiled_cues(clip, cycle_order(0, 2))
    )
    np.testing.assert_array_equal(carrier.read(state).labels[:, :, 2:], labels[:, :, 2:])


def cycle_loss(name, frames, labels, remat=False):
    """Eq. 9-12 with Ω in every step, as a function of all that may learn."""

    def loss(tau, rest, scale):
        clip = ClipCues(frames, *rest)
        carrier = build_carrier(name, 3, dtype=clip.probs.dtype)

        def refine(probs, features, cues):
            return jax.nn.softmax(scale * probs, axis=-1)

        cues = chain_cues(clip, cycle_order(0, 2))
        # Composed flow cuts its tie by comparing decisions: only eq. 5 is smooth there.
        mask = MaskOptions(tau, softness=0.2)
        step = make_step(carrier, mask, refine if name == "soft" else None)
        state, _ = rollout(step, carrier.init(labels), cues, remat=remat)
        probs = carrier.probs(state)
        wanted = jnp.take_along_axis(probs, labels[..., None], axis=-1)
        return -jnp.mean(jnp.log(wanted + 0.1))

    return loss


@pytest.mark.parametrize("name", ["soft", "composed"])
def test_gradients_through_the_cycle_equal_finite_differences(name, rng, x64):
    clip = random_clip(rng, n=3, h=4, w=4, dtype=np.float64)
    labels = jnp.asarray(rng.integers(0, 3, (1, 4, 4)))
    arguments = (np.float64(0.7), tuple(clip[1:]), np.float64(2.0))
    loss = jax.jit(cycle_loss(name, clip.frames, labels))
    check_grads(loss, arguments, 1, modes=["rev"], eps=1e-6)
    tau, (backward, forward, probs, _), _ = jax.grad(loss, argnums=(0, 1, 2))(*arguments)
    assert abs(float(tau)) > 1e-6
    for part in (backward, forward, probs):
        assert float(jnp.abs(part).max()) > 1e-6


def test_remat_gives_the_same_gradient(rng):
    clip = random_clip(rng, n=3, h=4, w=4)
    labels = jnp.asarray(rng.integers(0, 3, (1, 4, 4)), jnp.int32)
    plain, remat = (
        jax.jit(jax.grad(cycle_loss("soft", clip.frames, labels, remat), argnums=(0, 1)))(
            np.float32(0.7), tuple(clip[1:]), np.float32(2.0)
        )
        for remat in (False, True)
    )
    assert_close(plain, remat)
