"""Hypotheses along chains."""

import jax
import jax.numpy as jnp
import numpy as np
from rolling import clip, guesses, shifting

from wrp_jax.ops.blocks import Blocks
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.chooser import chains, hypotheses
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.types import clip_of

# Compiled as wholes: their many small operations, one by one, take longer.
advance, guess = jax.jit(hypotheses.advance), jax.jit(hypotheses.guess)
frame_features = jax.jit(hypotheses.frame_features)


def test_orders_go_both_ways_and_stop_at_the_ends():
    np.testing.assert_array_equal(window_orders(5, 1), [[1, 2, 3, 4], [1, 0, 0, 0]])
    np.testing.assert_array_equal(window_orders(1, 0), [[0, 0], [0, 0]])


def test_on_a_moving_picture_every_moving_guess_is_right():
    carry, steps, orders, labels, active = guesses(6, 1, 0)
    for t in range(5):
        now = jax.tree.map(lambda a, t=t: a[t], steps)
        carry = advance(carry, now)
        found = guess(carry, now)
        chosen = active[np.asarray(found.votes[0].argmax(-1))]
        truth = labels[orders[0, t + 1]]
        inner = (slice(None), slice(t + 1, None))  # what has come in from the left is unknown
        for name in ("stepwise", "composed", "stride", "direct", "lookup"):
            place = hypotheses.HYPOTHESES.index(name)
            np.testing.assert_array_equal(chosen[inner][..., place], truth[inner], err_msg=name)
        assert (found.age[0, :, : t + 1] == 1).all() and (found.age[0, :, t + 1 :] == 0).all()
    static = hypotheses.HYPOTHESES.index("static")
    assert (chosen[..., static] != truth).any()


def test_motion_is_not_estimated_for_a_chain_that_has_reached_its_end():
    cues, _ = clip(5, 1)
    orders, pairs = window_orders(5, 1), []

    def motion(clip, targets, sources, initial=None):
        assert initial is None or len(initial) == len(targets)
        pairs.extend(zip(np.asarray(targets).tolist(), np.asarray(sources).tolist(), strict=True))
        return shifting(0)(clip, targets, sources, initial)

    long = chains.long_flows(clip_of(cues.frames), cues, orders, motion)
    # Forward 2, 3, 4 from 1, and backward 0, which is one step and needs the short flow alone.
    assert set(pairs) == {(3, 1), (4, 1)}
    np.testing.assert_array_equal(long.direct[:, 1, ..., 0], 1)  # left at the composed flow
    np.testing.assert_array_equal(long.fresh[1:, 0, ..., 0], 0)


def test_features_are_finite_and_blind_to_the_order_of_classes():
    carry, steps, *_ = guesses(3, 1, 1)
    now = jax.tree.map(lambda a: a[0], steps)
    found = guess(advance(carry, now), now)
    features = frame_features(found)
    assert np.isfinite(features).all()
    turned = frame_features(found._replace(votes=found.votes[..., ::-1]))
    np.testing.assert_allclose(features, turned, atol=1e-5)


def test_void_flow_leaves_everything_finite():
    carry, steps, *_ = guesses(3, 1, 1)
    flow, consistency, long = jax.tree.map(
        lambda a: jnp.asarray(a).at[:, :, 3:9].set(jnp.nan),
        (steps.cues.flow, steps.cues.consistency, steps.long),
    )
    cues = steps.cues._replace(flow=flow, consistency=consistency)
    void = hypotheses.StepCues(cues, long)
    for t in range(2):
        now = jax.tree.map(lambda a, t=t: a[t], void)
        carry = advance(carry, now)
        found = guess(carry, now)
        assert np.isfinite(frame_features(found)).all()
    assert (np.asarray(found.valid)[:, 3:9, :, 0] == 0).all()


def test_active_classes_are_those_seen_or_said_padded():
    probs = np.zeros((2, 3, 3, 9), np.float32)
    probs[..., 7] = 0.9
    probs[..., 2] = 0.05
    active = hypotheses.active_classes(np.array([[1, 4, -1]]), probs)
    np.testing.assert_array_equal(active, [1, 4, 7, -1])
    np.testing.assert_array_equal(
        hypotheses.active_indices(np.array([7, 4, 0, -1, 8]), active), [2, 1, -1, -1, -1]
    )
    np.testing.assert_array_equal(hypotheses.compact(np.arange(9.0), active), [1, 4, 7, 0])


def test_only_where_guesses_differ_there_is_a_dispute():
    carry, steps, *_ = guesses(4, 1, 0)
    for t in range(3):
        now = jax.tree.map(lambda a, t=t: a[t], steps)
        carry = advance(carry, now)
        votes = guess(carry, now).votes[..., :7, :]
        assert "lookup" not in hypotheses.HYPOTHESES[:7]
        winner = np.asarray(votes.argmax(-1))
        expected = (winner != winner[..., :1]).any(-1)
        np.testing.assert_array_equal(hypotheses.in_dispute(carry, now), expected)
        assert expected.any() and not expected.all()


def test_a_part_of_the_frame_is_guessed_as_in_the_whole():
    carry, steps, *_ = guesses(3, 1, 0)
    now = jax.tree.map(lambda a: a[0], steps)
    carry = advance(carry, now)
    whole = guess(carry, now)
    place = Blocks(*jnp.asarray([[1, 0], [5, 3], [7, 2]]), (12, 14))
    part = jax.jit(lambda *a: hypotheses.guess(*a, place))(carry, now)
    inner = slice(None), slice(2, -2), slice(2, -2)  # errors are means over squares
    for name in ("votes", "error", "valid", "spread"):
        expected = place.cut(getattr(whole, name))
        np.testing.assert_allclose(getattr(part, name)[inner], expected[inner], atol=1e-5)


def test_class_features_are_what_is_known_of_the_segmentation_and_its_votes():
    carry, steps, *_ = guesses(3, 1, 0)
    now = jax.tree.map(lambda a: a[0], steps)
    found = guess(advance(carry, now), now)
    known = jnp.asarray(np.random.default_rng(0).random((2, found.votes.shape[-1], 2)), jnp.float32)
    features = np.asarray(hypotheses.class_features(found, known))
    own = found.votes[1, 3, 4, hypotheses.HYPOTHESES.index("segmentation")]
    np.testing.assert_allclose(features[1, 3, 4, :2], known[1].T)
    np.testing.assert_allclose(features[1, 3, 4, 2:], known[1].T * own, rtol=1e-6)


def test_warp_inpaint_on_soft_labels_asks_segmentation_where_motion_cannot_be_trusted():
    carry, steps, *_ = guesses(3, 1, 0)
    now = jax.tree.map(lambda a: a[0], steps)
    now = now.cues
    error = jnp.zeros_like(now.photometric).at[0, 4:7, 8:11].set(0.6)
    step = make_step(build_carrier("soft", now.probs.shape[-1]), MaskOptions(0.5))
    before, _ = step(carry.inpainted, now)
    after, _ = step(carry.inpainted, now._replace(photometric=now.photometric + error))
    lost = np.asarray(error > 0)
    np.testing.assert_array_equal(after[lost], now.probs[lost])
    np.testing.assert_array_equal(after[~lost], before[~lost])
    outside = np.zeros(lost.shape, bool)
    outside[0, :, 0] = True  # forward in time the picture rolls in from the left
    np.testing.assert_array_equal(before[outside], now.probs[outside])
    inner = np.asarray(before)[0, :, 1:]
    np.testing.assert_array_equal(inner, np.asarray(carry.key.onehot)[0, :, :-1])
