from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops.labels import one_hot
from wrp_jax.ops.warp import warp, warp_labels
from wrp_jax.propagation.carriers import Carrier, build_carrier
from wrp_jax.types import UserError

NAMES = ["hard", "soft", "composed"]
CLASSES = 4


@pytest.fixture
def labels(rng):
    return jnp.asarray(rng.integers(0, CLASSES, (2, 7, 9)), jnp.int32)


@functools.cache
def compiled(name: str, inpaint: bool = True) -> Carrier:
    """The carrier with every function jitted: one compilation serves all tests."""
    carrier = build_carrier(name, CLASSES, inpaint=inpaint)
    return Carrier(*(function and jax.jit(function) for function in carrier))


def constant_flow(dx: float, dy: float) -> jax.Array:
    return jnp.asarray(np.broadcast_to(np.float32([dx, dy]), (2, 7, 9, 2)))


@pytest.mark.parametrize("inpaint", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_labels_come_back_as_they_were(name, inpaint, labels):
    carrier = compiled(name, inpaint)
    start = carrier.init(labels)
    for state in (start, carrier.warp(start, constant_flow(0, 0))):
        reading = carrier.read(state)
        np.testing.assert_array_equal(reading.labels, labels)
        np.testing.assert_allclose(reading.confidence, 1, atol=1e-6)
        np.testing.assert_allclose(carrier.probs(state), one_hot(labels, CLASSES), atol=1e-6)
        assert reading.labels.dtype == jnp.int32


@pytest.mark.parametrize("inpaint", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_whole_pixels_are_moved_alike_by_all(name, inpaint, labels):
    carrier = compiled(name, inpaint)
    flows = [constant_flow(2, 0), constant_flow(-1, 1)]
    expected, state = labels, carrier.init(labels)
    for flow in flows:
        expected, _ = warp_labels(expected, flow)
        state = carrier.warp(state, flow)
    # Chains repeat a border that the composed flow looks past: compare inside.
    inside = np.s_[:, :5, 2:7]
    np.testing.assert_array_equal(carrier.read(state).labels[inside], expected[inside])


@pytest.mark.parametrize("name", NAMES)
def test_blending_keeps_where_the_mask_is_one(name, labels, rng):
    carrier = compiled(name)
    probs = jnp.asarray(rng.dirichlet(np.ones(CLASSES), size=labels.shape), jnp.float32)
    mask = jnp.asarray(rng.integers(0, 2, labels.shape), jnp.float32)
    state = carrier.blend(carrier.warp(carrier.init(labels), constant_flow(0, 0)), mask, probs)
    expected = jnp.where(mask > 0, labels, jnp.argmax(probs, axis=-1))
    np.testing.assert_array_equal(carrier.read(state).labels, expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_state_stays_a_distribution(name, labels, rng):
    carrier = compiled(name)
    state = carrier.init(labels)
    for _ in range(4):
        flow = jnp.asarray(rng.normal(scale=2, size=(2, 7, 9, 2)), jnp.float32)
        probs = jnp.asarray(rng.dirichlet(np.ones(CLASSES), size=labels.shape), jnp.float32)
        mask = jnp.asarray(rng.uniform(size=labels.shape) > 0.3, jnp.float32)
        state = carrier.blend(carrier.warp(state, flow.at[0, 0, 0].set(jnp.nan)), mask, probs)
        result = carrier.probs(state)
        assert float(result.min()) >= 0
        np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("inpaint", [False, True])
def test_composing_does_not_blur_and_chains_do(labels, inpaint):
    flows = [constant_flow(0.5, 0), constant_flow(-0.5, 0)]
    confidence = {}
    for name in ("soft", "composed"):
        carrier = compiled(name, inpaint)
        state = carrier.init(labels)
        for flow in flows:
            state = carrier.warp(state, flow)
        confidence[name] = np.asarray(carrier.probs(state).max(-1))
    np.testing.assert_allclose(confidence["composed"], 1, atol=1e-6)
    assert confidence["soft"].mean() < 0.95


def test_composed_remembers_where_a_label_comes_from(labels):
    carrier = compiled("composed")
    probs = one_hot(jnp.full(labels.shape, 3), CLASSES)
    keep = jnp.ones(labels.shape).at[:, 2, 4].set(0)
    state = carrier.init(labels)
    state = carrier.blend(carrier.warp(state, constant_flow(0, 0)), keep * 0 + 1, probs)
    state = carrier.blend(carrier.warp(state, constant_flow(0, 0)), keep, probs)  # step 2
    assert int(carrier.read(state).labels[0, 2, 4]) == 3
    state = carrier.warp(state, constant_flow(1, 0))
    reading = carrier.read(state)
    expected = np.zeros(labels.shape, np.int32)
    expected[:, 2, 3] = 2
    np.testing.assert_array_equal(reading.source, expected)
    assert int(reading.labels[0, 2, 3]) == 3


def test_composed_does_not_mix_the_flow_of_inpainted_pixels(labels):
    # Left of column 4 the flow is nonsense and is cut off; a neighbour that samples half of it
    # must keep its own way to the labelled frame.
    carrier = compiled("composed")
    nonsense = constant_flow(0, 0).at[:, :, :4].set(jnp.array([90.0, -70.0]))
    mask = jnp.ones(labels.shape).at[:, :, :4].set(0)
    probs = one_hot(jnp.zeros(labels.shape, jnp.int32), CLASSES)
    state = carrier.blend(carrier.warp(carrier.init(labels), nonsense), mask, probs)
    state = carrier.warp(state, constant_flow(-0.5, 0))
    np.testing.assert_allclose(state.flow[:, :, 4:, 0], -0.5, atol=1e-6)
    np.testing.assert_allclose(state.flow[:, :, 4:, 1], 0, atol=1e-6)
    np.testing.assert_allclose(state.alive[:, :, 4], 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_replacing_sets_the_decision(name, labels, rng):
    carrier = compiled(name)
    probs = jnp.asarray(rng.dirichlet(np.ones(CLASSES), size=labels.shape), jnp.float32)
    state = carrier.warp(carrier.init(labels), constant_flow(0.25, 0))
    decided = carrier.read(carrier.replace(state, probs))
    np.testing.assert_array_equal(decided.labels, jnp.argmax(probs, axis=-1))


def test_composed_keeps_the_tie_where_refinement_agrees(labels):
    carrier = compiled("composed")
    state = carrier.warp(carrier.init(labels), constant_flow(0, 0))
    changed = labels.at[:, 1, 1].set((labels[:, 1, 1] + 1) % CLASSES)
    state = carrier.replace(state, one_hot(changed, CLASSES))
    assert float(state.alive.sum()) == labels.size - 2


def test_carriers_of_motion_alone_refuse_to_inpaint(labels):
    carrier = build_carrier("composed", CLASSES, inpaint=False)
    with pytest.raises(TypeError, match="cannot inpaint"):
        carrier.blend(carrier.init(labels), None, None)


def test_unknown_carriers_are_refused():
    with pytest.raises(UserError, match="'x' is unknown: use one of hard, soft, composed"):
        build_carrier("x", 3)


@pytest.fixture
def image(rng):
    return jnp.asarray(rng.uniform(size=(2, 7, 9, 3)), jnp.float32)


@pytest.mark.parametrize("inpaint", [False, True])
def test_a_lost_chain_is_anchored_anew(labels, image, inpaint):
    carrier = compiled("anchored", inpaint)
    lost = carrier.warp(carrier.init(labels, image), constant_flow(2, 0))
    assert not np.array_equal(carrier.read(lost).labels, labels)
    found = carrier.anchor(lost, constant_flow(0, 0), image)
    np.testing.assert_array_equal(carrier.read(found).labels, labels)
    # The chain goes on from there.
    further = carrier.warp(found, constant_flow(0, 0))
    np.testing.assert_array_equal(carrier.read(further).labels, labels)


@pytest.mark.parametrize("flow", [(3.0, 1.0), (np.nan, 0.0), (40.0, 0.0)])
def test_a_good_chain_is_kept(labels, image, flow):
    carrier = compiled("anchored")
    state = carrier.warp(carrier.init(labels, image), constant_flow(0, 0))
    kept = carrier.anchor(state, constant_flow(*flow), image)
    jax.tree.map(np.testing.assert_array_equal, kept, state)


def test_what_was_inpainted_stays_so(labels, image):
    carrier = compiled("anchored")
    probs = one_hot((labels + 1) % CLASSES, CLASSES)
    state = carrier.warp(carrier.init(labels, image), constant_flow(2, 0))
    state = carrier.blend(state, jnp.zeros(labels.shape), probs)
    anchored = carrier.anchor(state, constant_flow(0, 0), image)
    np.testing.assert_array_equal(carrier.read(anchored).labels, (labels + 1) % CLASSES)


@pytest.mark.parametrize(("share", "changes"), [(0.55, False), (0.7, True)])
def test_a_chain_is_left_only_for_a_match_that_is_well_better(labels, image, share, changes):
    """Errors of the two are to each other as ``1 - share`` to ``share``."""
    carrier = compiled("anchored")
    chain = carrier.warp(carrier.init(labels, image), constant_flow(2, 0))
    seen = share * image + (1 - share) * warp(image, constant_flow(2, 0))[0]
    anchored = carrier.anchor(chain, constant_flow(0, 0), seen)
    inside = np.s_[:, :, :5]
    expected = labels if changes else carrier.read(chain).labels
    np.testing.assert_array_equal(carrier.read(anchored).labels[inside], expected[inside])
