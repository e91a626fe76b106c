from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import MotionConfig, PropagationConfig
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation import methods
from wrp_jax.propagation.methods import METHODS, propagate_window
from wrp_jax.types import UNLABELLED, ClassMap, UserError

CARRIERS = ["hard", "soft", "composed"]


def class_map(*void: bool) -> ClassMap:
    n = len(void)
    names = tuple(f"class {i}" for i in range(n))
    return ClassMap(tuple(range(n)), names, np.zeros((n, 3), np.uint8), void)


CLASSES = class_map(False, False, False)
STILL = build_motion(MotionConfig(name="zero"))


def options(**changes) -> PropagationConfig:
    return PropagationConfig(horizon=3, tau=0.05, **changes)


@pytest.fixture
def scene(rng):
    """A window of seven frames, labelled in frame 2; cues from exact flow."""
    clip, labels = shifting_clip(rng, n=7)
    return clip.frames, labels, clip


def propagate(method, scene, config=None, key=2, classes=CLASSES, **more):
    frames, labels, clip = scene
    more = {"cues": clip, "refine": lambda probs, features, cues: probs} | more
    config = config or options()
    return propagate_window(method, config, frames, key, labels[key], classes, STILL, **more)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_labels_every_frame(method, carrier, scene):
    result = propagate(method, scene, options(carrier=carrier), classes=CLASSES)
    labels = scene[1]
    assert result.labels.shape == labels.shape
    assert result.labels.dtype == np.int32
    assert result.confidence.dtype == np.float32
    assert result.confidence.min() >= 0
    assert result.confidence.max() <= 1 + 1e-6
    np.testing.assert_array_equal(result.labels[2], labels[2])
    np.testing.assert_array_equal(result.confidence[2], 1)
    assert (result.source is None) == (
        carrier != "composed" and method in ("motion-only", "warp-inpaint", "warp-refine")
    )
    if result.source is not None:
        assert result.source.max(axis=(1, 2))[2] == 0


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("method", ["warp-inpaint", "warp-refine"])
def test_inpainting_completes_exact_motion(method, carrier, scene):
    for mask in ("paper", "consistent"):
        result = propagate(method, scene, options(carrier=carrier, mask=mask))
        np.testing.assert_array_equal(result.labels, scene[1])


@pytest.mark.parametrize("carrier", CARRIERS)
def test_motion_alone_is_right_where_the_labelled_frame_reaches(carrier, scene):
    result = propagate("motion-only", scene, options(carrier=carrier))
    labels = scene[1]
    for frame in range(7):
        moved = 2 * (frame - 2)
        seen = np.s_[:, max(0, -moved) : 12 - max(0, moved)]
        np.testing.assert_array_equal(result.labels[frame][seen], labels[frame][seen])
    assert not np.array_equal(result.labels, labels)


def test_source_tells_when_a_pixel_entered(scene):
    source = propagate("warp-inpaint", scene, options(carrier="composed")).source
    expected = np.zeros(12, np.int32)
    expected[4:6], expected[6:8], expected[8:10], expected[10:] = 1, 2, 3, 4
    np.testing.assert_array_equal(source[6, 0], expected)


def test_refinement_is_applied(scene):
    def refine(probs, features, cues):
        return jnp.zeros_like(probs).at[..., 1].set(1)

    result = propagate("warp-refine", scene, refine=refine)
    expected = np.ones_like(scene[1])
    expected[2] = scene[1][2]
    np.testing.assert_array_equal(result.labels, expected)


def test_a_refiner_with_new_variables_is_not_compiled_again(scene):
    def refine(variables, probs, features, cues):
        return jnp.zeros_like(probs).at[..., variables].set(1)

    before = methods._run_chunk._cache_size()
    for variables in (0, 2):
        omega = jax.tree_util.Partial(refine, np.int32(variables))
        result = propagate("warp-refine", scene, refine=omega)
        assert (result.labels[5] == variables).all()
    assert methods._run_chunk._cache_size() == before + 1


def test_windows_of_any_length_share_one_program_and_agree(scene):
    frames, labels, clip = scene
    whole = propagate("warp-inpaint", scene)
    size = methods._run_chunk._cache_size()
    for first, last, key in ((1, 4, 2), (2, 6, 2), (0, 2, 2), (2, 2, 2)):
        cut = clip._replace(
            frames=clip.frames[first : last + 1],
            probs=clip.probs[first : last + 1],
            features=clip.features[first : last + 1],
            flow_backward=clip.flow_backward[first:last],
            flow_forward=clip.flow_forward[first:last],
        )
        part = frames[first : last + 1], labels[first : last + 1], cut
        result = propagate("warp-inpaint", part, key=key - first)
        np.testing.assert_array_equal(result.labels, whole.labels[first : last + 1])
        np.testing.assert_array_equal(result.source, whole.source[first : last + 1])
    assert methods._run_chunk._cache_size() == size


def test_the_horizon_sets_the_chunk_and_not_the_result(scene):
    results = [propagate("warp-inpaint", scene, options()) for _ in range(2)]
    results.append(propagate("warp-inpaint", scene, PropagationConfig(horizon=10, tau=0.05)))
    for other in results[1:]:
        np.testing.assert_array_equal(other.labels, results[0].labels)
        np.testing.assert_allclose(other.confidence, results[0].confidence, atol=1e-6)


def test_static_copies(scene):
    result = propagate("static", scene)
    np.testing.assert_array_equal(result.labels, np.repeat(scene[1][2:3], 7, axis=0))


@pytest.mark.parametrize(
    ("classes", "nothing"), [(CLASSES, UNLABELLED), (class_map(False, False, True), 2)]
)
def test_semantic_labels_need_confidence(classes, nothing, scene):
    frames, labels, clip = scene
    probs = clip.probs.copy()
    probs[:, :4] = [0.5, 0.3, 0.2]
    unsure = frames, labels, clip._replace(probs=probs)
    result = propagate("semantic-only", unsure, classes=classes)
    np.testing.assert_array_equal(result.labels[0, :4], nothing)
    np.testing.assert_array_equal(result.labels[0, 4:], labels[0, 4:])
    argmax = propagate("semantic-argmax", unsure, classes=classes)
    np.testing.assert_array_equal(argmax.labels[0, :4], 0)


@pytest.mark.parametrize("method", ["motion-only", "warp-inpaint", "static"])
def test_the_image_goes_along(method, scene):
    result = propagate(method, scene, move_images=True)
    still = method == "static"
    images = scene[0] / np.float32(255)
    expected = images[2, :, :10] if still else images[3, :, :10]
    assert result.images.shape == (7, 8, 12, 3)
    np.testing.assert_allclose(result.images[3, :, :10], expected, atol=1e-5)
    np.testing.assert_allclose(result.images[2], images[2], atol=1e-6)


def exact(cues, asked):
    """f_θ and g_ψ that know the truth about a clip, and note about how many frames at once."""

    def segment(clip, positions):
        asked.append(len(positions))
        return cues.probs[np.asarray(positions)], cues.features[np.asarray(positions)]

    def motion(clip, targets, sources, initial=None):
        ahead = np.asarray(targets) > np.asarray(sources)
        flow = np.where(ahead[:, None], 2, -2) * np.float32([1, 0])
        size = len(targets), *cues.frames.shape[1:3], 2
        return np.broadcast_to(flow[:, None, None], size).astype(np.float32)

    return motion, segment


def test_cues_are_made_where_none_are_given(scene):
    frames, labels, clip = scene
    asked = []
    arguments = (options(), frames, 2, labels[2], CLASSES, *exact(clip, asked))
    propagate_window("motion-only", *arguments)
    assert asked == []
    for method in ("warp-inpaint", "semantic-argmax"):
        np.testing.assert_array_equal(propagate_window(method, *arguments).labels, labels)


def test_long_windows_are_taken_piece_by_piece(rng):
    clip, labels = shifting_clip(rng, n=14)
    frames = clip.frames
    asked = []
    arguments = (options(), frames, 5, labels[5], CLASSES, *exact(clip, asked))
    for method in ("motion-only", "warp-inpaint", "semantic-only"):
        whole = propagate_window(method, *arguments, cues=clip)
        asked.clear()
        pieces = propagate_window(method, *arguments)
        assert max(asked, default=0) <= 3 + 1
        np.testing.assert_array_equal(pieces.labels, whole.labels)
        np.testing.assert_allclose(pieces.confidence, whole.confidence, atol=1e-5)
    np.testing.assert_array_equal(propagate("warp-inpaint", (frames, labels, clip)).labels, labels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 31)])
def test_tiny_and_odd_sizes(rng, size):
    frames = rng.integers(0, 255, (3, *size, 3)).astype(np.uint8)
    label = rng.integers(0, 3, size).astype(np.int32)
    motion = build_motion(MotionConfig())

    def segment(clip, positions):
        probs = rng.dirichlet(np.ones(3), size=(len(positions), *size)).astype(np.float32)
        return probs, np.zeros((len(positions), 1, 1, 2), np.float32)

    for method in ("motion-only", "warp-inpaint"):
        result = propagate_window(method, options(), frames, 0, label, CLASSES, motion, segment)
        assert result.labels.shape == (3, *size)
        assert result.labels.max() < 3


def test_mistakes_are_named(scene):
    for method, more, message in [
        ("x", {}, "is unknown: use one of static, motion-only"),
        ("warp-refine", {"refine": None}, "needs a trained refiner"),
        ("warp-inpaint", {"cues": None}, "needs a trained segmentation network"),
    ]:
        with pytest.raises(UserError, match=message):
            propagate(method, scene, **more)
    with pytest.raises(UserError, match="mask='x' is unknown"):
        propagate("warp-inpaint", scene, options(mask="x"))
