"""The chooser in the recursion, and a window refined with it."""

import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rolling import CLASSES, clip, guesses, shifting

from wrp_jax.config import DoubtConfig, PropagationConfig
from wrp_jax.models.refine.chooser import CANDIDATE, build_chooser
from wrp_jax.ops.warp import warp_labels
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.chooser import choose, hypotheses
from wrp_jax.propagation.chooser.agreement import reliability_of
from wrp_jax.propagation.chooser.network_inputs import chooser_inputs
from wrp_jax.propagation.chooser.window import ChooserRefiner
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import Cues

CHOOSER = build_chooser(width=4, class_width=4, class_convs=1)
MASK = MaskOptions(0.5, 1.5, 0.7)
EXPECTED = np.linspace(0.2, 0.9, 2 * CLASSES.num_classes, dtype=np.float32).reshape(-1, 2)


@jax.jit
def variables_for(carry, steps, reliability):
    now = jax.tree.map(lambda a: a[0], steps)
    found = hypotheses.guess(hypotheses.advance(carry, now), now)
    inputs = hypotheses.frame_features(found), hypotheses.class_features(found, reliability)
    return CHOOSER.init(jax.random.key(0), found.votes, *inputs)


def refine(cues, key, label, variables, recursive=False, doubt=choose.DEFAULT_DOUBT):
    refiner = ChooserRefiner(CHOOSER, variables, EXPECTED, recursive, doubt)
    window = LabelledWindow(HeldCues(cues), (Keyframe(key, label),), CLASSES, shifting(0))
    frames = refiner.label(PropagationConfig(), window)
    return collect(len(cues.frames), frames)[:2]


@pytest.mark.parametrize("recursive", [False, True])
def test_scan_equals_the_loop_over_a_window(recursive):
    carry, steps, _orders, labels, active = guesses(4, 1, 1)
    cues, _ = clip(4, 1)
    known = reliability_of(HeldCues(cues), [(1, labels[1])], EXPECTED)
    known = jnp.asarray(np.stack([hypotheses.compact(known.T, active).T] * 2))
    variables = variables_for(carry, steps, known)
    step = functools.partial(
        choose.choose_step, CHOOSER, variables, known, mask=MASK, recursive=recursive
    )
    _, choices = jax.jit(lambda c, x: jax.lax.scan(step, c, x))(carry, steps)
    chosen, sure = choices[:2]
    got, confidence = refine(cues, 1, labels[1], variables, recursive=recursive)
    for b, t, frame in ((0, 0, 2), (0, 1, 3), (1, 0, 0)):
        np.testing.assert_array_equal(got[frame], active[np.asarray(chosen[t, b])])
        np.testing.assert_allclose(confidence[frame], sure[t, b], atol=1e-5)
    np.testing.assert_array_equal(got[1], labels[1])


def threads_of_chains():
    return [thread for thread in threading.enumerate() if thread.name.startswith("chain")]


@pytest.mark.parametrize("taken", [1, 2, 4])
def test_no_thread_outlives_a_window(taken):
    carry, steps, _, labels, _ = guesses(4, 1, 1)
    known = jnp.full((2, carry.stepwise.shape[-1], 2), 0.5)
    refiner = ChooserRefiner(CHOOSER, variables_for(carry, steps, known), EXPECTED)
    cues = HeldCues(clip(4, 1)[0])
    window = LabelledWindow(cues, (Keyframe(1, labels[1]),), CLASSES, shifting(0))
    frames = refiner.label(PropagationConfig(), window)
    said = [one for one, _ in zip(frames, range(taken), strict=False)]
    assert len(said) == taken
    frames.close()
    assert not threads_of_chains()


def test_a_fault_in_a_step_comes_out_and_ends_both_chains():
    _, _, _, labels, _ = guesses(4, 1, 1)
    refiner = ChooserRefiner(CHOOSER, {"params": {}}, EXPECTED)  # no weights
    window = LabelledWindow(
        HeldCues(clip(4, 1)[0]), (Keyframe(1, labels[1]),), CLASSES, shifting(0)
    )
    with pytest.raises(Exception, match=r"[Pp]aram"):
        list(refiner.label(PropagationConfig(), window))
    assert not threads_of_chains()


def test_a_labelled_frame_beyond_the_window_is_heard_beside_its_own():
    carry, steps, _orders, labels, _ = guesses(4, 1, 1)
    cues, _ = clip(4, 1)
    known = jnp.full((2, carry.stepwise.shape[-1], 2), 0.5)
    refiner = ChooserRefiner(CHOOSER, variables_for(carry, steps, known), EXPECTED)
    own, further = Keyframe(0, labels[0]), Keyframe(3, labels[3])
    window = LabelledWindow(
        HeldCues(cues), (own,), CLASSES, shifting(0), further=(further,), between=(1, 2)
    )
    frames = label_frames("warp-refine", PropagationConfig(), window, refiner)
    said = {one.frame: one for one in frames}
    assert sorted(said) == [0, 1, 2]
    both = [*refiner.label(PropagationConfig(), window)]
    (others,) = window.further_pairs()
    both += [one for one in refiner.label(PropagationConfig(), others) if one.frame in (1, 2)]
    for frame in (1, 2):
        first, second = (one.posterior for one in both if one.frame == frame)
        assert first is not None and second is not None
        near, far = 0.95**frame, 0.95 ** (3 - frame)
        assert set(first.classes) == set(second.classes)
        expected = near * first.probs.astype(np.float32) + far * second.probs.astype(np.float32)
        sure = expected.max(-1) / (near + far)
        np.testing.assert_allclose(said[frame].confidence, np.minimum(sure, 1), rtol=1e-4)


@pytest.mark.parametrize(("composed", "full"), [(0, 0.2), (2, 0.55)])
@pytest.mark.parametrize(("step", "share"), [(1, 1.0), (16, 0.5), (31, 0.0), (40, 0.0)])
def test_in_doubt_the_label_of_warp_inpaint_stays(step, share, composed, full):
    inpainted = jnp.asarray([[[[0.5, 0.3, 0.2]]]])
    moved, stays = jnp.full((1, 1, 1), composed, jnp.int32), share * full
    leads = [(stays + 0.01, 1), *([(stays - 0.01, 0)] if stays else [])]
    for lead, chosen in leads:
        other = (1.0 + lead) / 2
        probs = jnp.asarray([[[[1.0 - other, other, 0.0]]]])
        favoured = np.asarray(choose.favour_inpainted(probs, inpainted, moved, step))
        assert favoured.argmax() == chosen
        np.testing.assert_allclose(favoured.sum(-1), 1.0, atol=1e-6)


def test_the_rules_for_doubt_are_options(monkeypatch):
    """They are asked with what the options say; without them the chooser's answer stands."""
    probs = jax.nn.softmax(jax.random.normal(jax.random.key(0), (1, 3, 10, 3)))
    assert choose.neighbours_share(10, (10, 20)) == 0.0
    assert choose.neighbours_share(10, (5, 10)) == 1.0
    off = choose.doubt_of(DoubtConfig(inpainted=0.0, inpainted_over_motion=0.0))
    label = jnp.zeros((1, 3, 10), jnp.int32)
    np.testing.assert_array_equal(choose.favour_inpainted(probs, probs, label, 1, off), probs)
    carry, steps, _orders, labels, _active = guesses(4, 1, 1)
    cues, _ = clip(4, 1)
    known = jnp.full((2, carry.stepwise.shape[-1], 2), 0.5)
    variables = jax.tree.map(jnp.zeros_like, variables_for(carry, steps, known))
    asked, favour = [], choose.favour_inpainted

    def watched(*arguments):
        asked.append(arguments[-1])
        return favour(*arguments)

    monkeypatch.setattr(choose, "favour_inpainted", watched)
    doubt = choose.doubt_of(DoubtConfig(inpainted=0.25, frames=7, neighbours_width=(3, 4)))
    refine(cues, 1, labels[1], variables, doubt=doubt)
    assert set(asked) == {choose.Doubt(0.25, 0.55, 7, (3, 4))}


def test_a_step_favours_what_the_mask_says():
    """A chooser that knows nothing: the label of warp-inpaint decides, and so does its mask."""
    carry, steps, *_ = guesses(3, 1, 1)
    now = jax.tree.map(lambda a: a[0], steps)
    known = jnp.full((2, carry.stepwise.shape[-1], 2), 0.5)
    variables = jax.tree.map(jnp.zeros_like, variables_for(carry, steps, known))
    found = {}

    @functools.partial(jax.jit, static_argnums=0)
    def places(options):
        """Of the chooser, of the composed flow, where they are in dispute, of warp-inpaint."""
        _, (place, *_) = choose.choose_step(
            CHOOSER, variables, known, carry, now, options, recursive=False
        )
        moved = hypotheses.advance(carry, now)
        composed = warp_labels(moved.key.label, moved.composed)[0]
        warp_inpaint = make_step(build_carrier("soft", carry.inpainted.shape[-1]), options)
        expected = warp_inpaint(carry.inpainted, now.cues)[0].argmax(-1)
        return place, composed, hypotheses.in_dispute(moved, now), expected

    for tau in (0.0, 2.0):
        place, composed, disputed, expected = map(np.asarray, places(MaskOptions(tau)))
        inpainted = disputed & (expected != composed)
        found[tau] = np.mean((place == expected)[inpainted])
        assert found[tau] > 0.95 and inpainted.sum() > 10
    assert (expected != np.asarray(now.cues.probs.argmax(-1))).any()


@pytest.mark.parametrize(("width", "share"), [(480, 1.0), (360, 0.5), (240, 0.0)])
def test_a_disputed_pixel_hears_its_neighbours_in_large_pictures_alone(width, share):
    probs = np.zeros((1, 5, width, 3), np.float32)
    probs[..., 0] = 1.0
    probs[0, 2, 2] = (0.2, 0.5, 0.3)
    candidates, disputed = probs > 2.0, np.zeros((1, 5, width), bool)
    candidates[..., 0] = True
    heard = choose.neighbours_share(width, choose.DEFAULT_DOUBT.neighbours_width)
    assert heard == share

    def smoothed():
        arrays = map(jnp.asarray, (disputed, candidates, probs))
        return np.array(choose.smooth_disputed(*arrays, heard))

    np.testing.assert_array_equal(smoothed(), probs)
    candidates[0, 2, 2, 1] = disputed[0, 2, 2] = True
    alone, all_nine = np.array([0.2, 0.5, 0.3]), np.array([8.2, 0.5, 0.3]) / 9
    mixed = ((1 - share) * alone + share * all_nine) * (1, 1, not share)  # nobody votes for 2
    got = smoothed()
    np.testing.assert_allclose(got[0, 2, 2], mixed / mixed.sum(), atol=1e-6)
    got[0, 2, 2] = probs[0, 2, 2]
    np.testing.assert_array_equal(got, probs)


init_carry = jax.jit(hypotheses.init_carry, static_argnums=2)


def random_frame(h, w, classes):
    """A carry and cues without any meaning."""
    rng = np.random.default_rng(3)

    def random(*shape):
        return rng.random((2, h, w, *shape)).astype(np.float32)

    def flow():
        vectors = (random(2) - 0.5) * np.array([w / 2, h / 2], np.float32)
        vectors[:, h // 2 : h // 2 + 2, 3:5] = np.nan
        return vectors

    label = rng.integers(0, 3, (2, h, w)).astype(np.int32)
    frame = rng.integers(0, 256, (2, h, w, 3), dtype=np.uint8)
    carry = init_carry(frame, label, classes)
    carry = carry._replace(composed=np.nan_to_num(flow()), anchor=np.nan_to_num(flow()))
    long = hypotheses.LongFlows(flow(), flow(), flow())
    probs = np.exp(4 * random(classes))
    short = Cues(
        image=random(3), flow=flow(), valid=np.ones((2, h, w), np.float32), photometric=random(),
        consistency=random(), probs=probs / probs.sum(-1, keepdims=True),
        features=np.zeros((2, 1, 1, 0), np.float32), active=np.ones(2, np.float32),
    )  # fmt: skip
    carry, cues = jax.tree.map(jnp.asarray, (carry, hypotheses.StepCues(short, long)))
    known = jnp.asarray(rng.random((2, classes, 2)), jnp.float32)
    return carry, cues, known, variables_for(carry, jax.tree.map(lambda a: a[None], cues), known)


def everywhere(network, variables, reliability, carry, now, share, wanted, tile):
    """What the step asks of the chooser, worked out for all classes at every pixel."""
    found = hypotheses.guess(carry, now)
    logits = network.apply(variables, *chooser_inputs(found, reliability))
    winner = found.votes.argmax(-1)
    return choose.smooth_disputed(
        (winner != winner[..., :1]).any(-1),
        found.votes.max(-2) > CANDIDATE,
        jax.nn.softmax(logits, axis=-1),
        share,
    )


@functools.partial(jax.jit, static_argnums=1)
def nearly_calm(cues, classes):
    """A carry and cues of a video that stands still: few pixels are in dispute."""
    still, frame = jnp.zeros_like(cues.cues.flow), jnp.round(255 * cues.cues.image)
    label = jnp.zeros(still.shape[:3], jnp.int32).at[:, :, 44:].set(1).at[1].set(2)
    carry = hypotheses.init_carry(frame.astype(jnp.uint8), label, classes)
    probs = 0.4 * jax.nn.one_hot(label, classes) + 0.6 / classes
    probs = probs.at[:, 30, 12].set(jnp.asarray([0.1, 0.2, 0.2, 0.5]))
    probs = probs.at[0, 43:46, 50:60].set(probs[0, 0, 0])
    long = hypotheses.LongFlows(still, still, still)
    return carry, hypotheses.StepCues(cues.cues._replace(flow=still, probs=probs), long)


def test_near_disputes_all_is_as_in_the_whole_frame(monkeypatch):
    """In one piece and in tiles, with disputes everywhere and in a few places."""
    carry, cues, known, variables = random_frame(70, 83, 4)
    doubt = choose.DEFAULT_DOUBT._replace(neighbours_width=(20, 100))

    def step_of(tile):
        def step(carry, cues):
            return choose.choose_step(
                CHOOSER, variables, known, carry, cues, MASK, recursive=True, tile=tile, doubt=doubt
            )

        return jax.jit(step)

    calm = nearly_calm(cues, 4)
    moved = jax.jit(hypotheses.advance)(*calm)
    assert 0 < hypotheses.in_dispute(moved, calm[1]).mean() < 0.01
    scenes = (carry, cues), calm
    found = [[step(*scene) for scene in scenes] for step in map(step_of, (None, 31))]
    monkeypatch.setattr(choose, "_choose", everywhere)
    dense = step_of(None)
    for scene, *others in zip(scenes, *found, strict=True):
        whole, (place, sure, *_) = dense(*scene)
        for moved, (other, confidence, *_) in others:
            np.testing.assert_allclose(confidence, sure, atol=1e-5)
            assert np.mean(np.asarray(other) != place) < 0.002  # ties may fall either way
            np.testing.assert_allclose(moved.stepwise, whole.stepwise, atol=1e-5)


@pytest.mark.parametrize("tile", [None, 31])
def test_where_all_agree_the_chooser_is_not_asked(tile):
    carry, cues, known, variables = random_frame(97, 80, 4)
    agreed = jnp.zeros_like(carry.key.label).at[:, 80:].set(1)
    still = jnp.zeros_like(carry.composed)
    key_frame = jnp.round(255 * carry.key.image).astype(jnp.uint8)
    carry = init_carry(key_frame, agreed, 4)
    probs = 0.4 * jax.nn.one_hot(agreed, 4) + 0.15
    probs = probs.at[0, 10, 12].set(jnp.asarray([0.1, 0.2, 0.6, 0.1]))  # one pixel in dispute
    long = hypotheses.LongFlows(still, still, still)
    cues = hypotheses.StepCues(cues.cues._replace(flow=still, probs=probs), long)
    variables = jax.tree.map(lambda a: jnp.full_like(a, jnp.nan), variables)
    step = functools.partial(choose.choose_step, mask=MASK, recursive=False, tile=tile)
    step = functools.partial(jax.jit(step, static_argnums=0), CHOOSER, variables, known, carry)
    _, (place, sure, *_) = step(cues)
    np.testing.assert_array_equal(np.argwhere(np.isnan(sure)), [[0, 10, 12]])
    rest = ~np.isnan(np.asarray(sure))
    np.testing.assert_array_equal(np.asarray(place)[rest], np.asarray(agreed)[rest])
    np.testing.assert_allclose(np.asarray(sure)[rest], 0.775, rtol=1e-6)
    ended = cues._replace(cues=cues.cues._replace(active=jnp.asarray([0.0, 1.0])))
    assert np.isfinite(step(ended)[1].confidence).all()  # nor about a chain at its end


@pytest.mark.parametrize(
    ("size", "classes", "tile"),
    [
        ((17, 31), 60, None),
        ((360, 480), 12, None),
        ((360, 480), 90, 96),
        ((100, 4000), 4, 96),
        ((2160, 3840), 4, 96),
    ],
)
def test_small_frames_are_taken_whole(size, classes, tile):
    assert choose.tile_side(*size, classes) == tile


def test_a_static_video_keeps_its_label():
    cues, labels = clip(4, 0)
    # All guesses agree; an untrained chooser counts votes.
    cues = cues._replace(probs=np.asarray(jax.nn.one_hot(labels, cues.probs.shape[-1])))
    carry, steps, *_, active = guesses(4, 0, 2)
    known = jnp.zeros((2, len(active), 2))
    variables = jax.tree.map(jnp.zeros_like, variables_for(carry, steps, known))
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
