"""Hypotheses along chains, and the window refined with a chooser."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.motion import Motion
from wrp_jax.models.refine.chooser import build_chooser
from wrp_jax.propagation import chains, hypotheses, refined
from wrp_jax.propagation.methods import collect
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, ClipCues

H, W = 20, 24
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
CHOOSER = build_chooser(width=4, class_width=4, class_convs=1)


def shifting(shift):
    """A motion that knows how fast the clips of ``clip`` move: frame i shows pixel x at x + i."""

    def pairs(target, source, initial=None):
        flow = np.zeros((*target.shape[:3], 2), np.float32)
        typical = shift if initial is None else np.median(initial[..., 0], axis=(1, 2))
        flow[..., 0] = np.reshape(typical, (-1, 1, 1))
        return flow

    return Motion(pairs)


def clip(n, shift, seed=0):
    rng = np.random.default_rng(seed)
    image = np.round(rng.random((H, W, 3)) * 255).astype(np.float32) / 255
    label = rng.integers(0, 2, (H // 4, W // 4)).repeat(4, 0).repeat(4, 1)
    images = np.stack([np.roll(image, shift * i, axis=1) for i in range(n)])
    labels = np.stack([np.roll(label, shift * i, axis=1) for i in range(n)])
    still = np.zeros((n - 1, H, W, 2), np.float32)
    probs = np.eye(3, dtype=np.float32)[rng.integers(0, 2, (n, H, W))]
    backward, forward = still.copy(), still.copy()
    backward[..., 0], forward[..., 0] = -shift, shift
    features = np.zeros((n, 1, 1, 0), np.float32)
    return ClipCues(images, backward, forward, probs, features), labels


def guesses(n, shift, key, **options):
    cues, labels = clip(n, shift)
    frames = np.round(cues.images * 255).astype(np.uint8)
    orders = window_orders(n, key)
    active = hypotheses.active_classes(labels[key], cues.probs)
    long = chains.long_flows(frames, cues, orders, shifting(0), **options)
    steps = chains.step_cues(cues, long, orders, active)
    places = np.stack([hypotheses.places_of(labels[key], active)] * 2)
    image = np.stack([cues.images[key]] * 2)
    carry = hypotheses.init_carry(jnp.asarray(image), jnp.asarray(places), len(active))
    return carry, jax.tree.map(jnp.asarray, steps), orders, labels, active


def test_orders_go_both_ways_and_stop_at_the_ends():
    np.testing.assert_array_equal(window_orders(5, 1), [[1, 2, 3, 4], [1, 0, 0, 0]])
    np.testing.assert_array_equal(window_orders(1, 0), [[0, 0], [0, 0]])


def test_on_a_moving_picture_every_moving_guess_is_right():
    carry, steps, orders, labels, active = guesses(6, 1, 0)
    for t in range(5):
        now = jax.tree.map(lambda a, t=t: a[t], steps)
        carry = hypotheses.advance(carry, now)
        found = hypotheses.guess(carry, now)
        chosen = active[np.asarray(found.votes[0].argmax(-1))]
        truth = labels[orders[0, t + 1]]
        inner = (slice(None), slice(t + 1, None))  # what has come in from the left is unknown
        for name in ("chain", "composed", "stride", "direct", "lookup"):
            place = hypotheses.HYPOTHESES.index(name)
            np.testing.assert_array_equal(chosen[inner][..., place], truth[inner], err_msg=name)
        assert (found.age[0, :, : t + 1] == 1).all() and (found.age[0, :, t + 1 :] == 0).all()
    static = hypotheses.HYPOTHESES.index("static")
    assert (chosen[..., static] != truth).any()


def test_features_are_finite_and_blind_to_the_order_of_classes():
    carry, steps, *_ = guesses(3, 1, 1)
    now = jax.tree.map(lambda a: a[0], steps)
    found = hypotheses.guess(hypotheses.advance(carry, now), now)
    features = hypotheses.frame_features(found)
    assert np.isfinite(features).all()
    turned = hypotheses.frame_features(found._replace(votes=found.votes[..., ::-1]))
    np.testing.assert_allclose(features, turned, atol=1e-5)


def test_void_flow_leaves_everything_finite():
    carry, steps, *_ = guesses(3, 1, 1)
    void = jax.tree.map(lambda a: a, steps)._replace(
        **{
            name: getattr(steps, name).at[:, :, 3:9].set(jnp.nan)
            for name in ("flow", "consistency", "stride", "direct", "fresh")
        }
    )
    for t in range(2):
        now = jax.tree.map(lambda a, t=t: a[t], void)
        carry = hypotheses.advance(carry, now)
        found = hypotheses.guess(carry, now)
        assert np.isfinite(hypotheses.frame_features(found)).all()
    assert (np.asarray(found.valid)[:, 3:9, :, 0] == 0).all()


def test_active_classes_are_those_seen_or_said_padded():
    probs = np.zeros((2, 3, 3, 9), np.float32)
    probs[..., 7] = 0.9
    probs[..., 2] = 0.05
    active = hypotheses.active_classes(np.array([[1, 4, -1]]), probs)
    np.testing.assert_array_equal(active, [1, 4, 7, -1])
    np.testing.assert_array_equal(
        hypotheses.places_of(np.array([7, 4, 0, -1, 8]), active), [2, 1, -1, -1, -1]
    )
    np.testing.assert_array_equal(hypotheses.compact(np.arange(9.0), active), [1, 4, 7, 0])


def variables_for(carry, steps):
    now = jax.tree.map(lambda a: a[0], steps)
    found = hypotheses.guess(hypotheses.advance(carry, now), now)
    return CHOOSER.init(jax.random.key(0), found.votes, hypotheses.frame_features(found))


def refine(cues, key, label, variables, **options):
    frames = refined.refine_frames(
        HeldCues(cues), key, label, CLASSES, shifting(0), CHOOSER, variables, **options
    )
    return collect(len(cues.images), frames)[:2]


@pytest.mark.parametrize("recursive", [False, True])
def test_scan_equals_the_loop_of_refine_frames(recursive):
    carry, steps, _orders, labels, active = guesses(4, 1, 1)
    variables = variables_for(carry, steps)
    step = functools.partial(refined.choose_step, CHOOSER, variables, recursive=recursive)
    _, (chosen, sure) = jax.jit(lambda c, x: jax.lax.scan(step, c, x))(carry, steps)
    cues, _ = clip(4, 1)
    got, confidence = refine(cues, 1, labels[1], variables, recursive=recursive)
    for b, t, frame in ((0, 0, 2), (0, 1, 3), (1, 0, 0)):
        np.testing.assert_array_equal(got[frame], active[np.asarray(chosen[t, b])])
        np.testing.assert_allclose(confidence[frame], sure[t, b], atol=1e-5)
    np.testing.assert_array_equal(got[1], labels[1])


@pytest.mark.parametrize(("width", "share"), [(480, 1.0), (360, 0.5), (240, 0.0)])
def test_a_disputed_pixel_hears_its_neighbours_in_large_pictures_alone(width, share):
    probs = np.zeros((1, 5, width, 3), np.float32)
    probs[..., 0] = 1.0
    probs[0, 2, 2] = (0.2, 0.5, 0.3)
    votes = np.zeros((1, 5, width, 2, 3), np.float32)
    votes[..., 0] = 1.0
    np.testing.assert_array_equal(refined.settle(jnp.asarray(votes), jnp.asarray(probs)), probs)
    votes[0, 2, 2] = [(1, 0, 0), (0, 1, 0)]
    settled = np.array(refined.settle(jnp.asarray(votes), jnp.asarray(probs)))
    alone, all_nine = np.array([0.2, 0.5, 0.3]), np.array([8.2, 0.5, 0.3]) / 9
    heard = ((1 - share) * alone + share * all_nine) * (1, 1, not share)  # nobody votes for 2
    np.testing.assert_allclose(settled[0, 2, 2], heard / heard.sum(), atol=1e-6)
    settled[0, 2, 2] = probs[0, 2, 2]
    np.testing.assert_array_equal(settled, probs)


def test_bands_of_rows_give_what_the_frame_gives():
    """Frames too large for their hypotheses to be in memory at once."""
    rng = np.random.default_rng(3)
    h, w, classes = 97, 12, 4

    def random(*shape):
        return jnp.asarray(rng.random((2, h, w, *shape)), jnp.float32)

    def flow():
        vectors = (random(2) - 0.5) * jnp.asarray([6.0, 90.0])
        return vectors.at[:, 40:42, 3:5].set(jnp.nan)

    label = jnp.asarray(rng.integers(0, 3, (2, h, w)), jnp.int32)
    carry = hypotheses.init_carry(random(3), label, classes)
    carry = carry._replace(composed=jnp.nan_to_num(flow()), anchor=jnp.nan_to_num(flow()))
    cues = hypotheses.StepCues(
        image=random(3), flow=flow(), consistency=random(), stride=flow(), direct=flow(),
        fresh=flow(), probs=jax.nn.softmax(4 * random(classes)),
    )  # fmt: skip
    variables = variables_for(carry, jax.tree.map(lambda a: a[None], cues))

    def run(rows):
        step = functools.partial(refined.choose_step, recursive=True, rows=rows)
        return jax.jit(step, static_argnums=0)(CHOOSER, variables, carry, cues)

    whole, (place, sure) = run(h)
    banded, (other, confidence) = run(60)
    np.testing.assert_allclose(confidence, sure, atol=1e-5)
    assert np.mean(np.asarray(other) != place) < 0.002  # ties may fall either way
    np.testing.assert_allclose(banded.chain, whole.chain, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "classes", "whole"),
    [((17, 31), 60, True), ((360, 480), 12, True), ((480, 854), 4, True), ((2160, 3840), 4, False)],
)
def test_frames_of_usual_size_are_taken_whole(size, classes, whole):
    assert (refined.rows_at_once(*size, classes) >= size[0]) == whole


def test_a_static_video_keeps_its_label():
    cues, labels = clip(4, 0)
    # All guesses agree; an untrained chooser counts votes.
    cues = cues._replace(probs=np.asarray(jax.nn.one_hot(labels, cues.probs.shape[-1])))
    carry, steps, *_ = guesses(4, 0, 2)
    variables = jax.tree.map(jnp.zeros_like, variables_for(carry, steps))
    variables["params"]["plain"] = jnp.ones_like(variables["params"]["plain"])
    got, _ = refine(cues, 2, labels[2], variables)
    np.testing.assert_array_equal(got, labels)


def test_a_window_of_one_frame_is_its_label():
    cues, labels = clip(2, 0)
    one = jax.tree.map(lambda a: a[:1], cues)._replace(
        flow_backward=cues.flow_backward[:0], flow_forward=cues.flow_forward[:0]
    )
    got, confidence = refine(one, 0, labels[0], None)
    np.testing.assert_array_equal(got, labels[:1])
    assert (confidence == 1).all()
