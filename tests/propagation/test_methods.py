from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import MotionConfig, PropagationConfig
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation import along_chains
from wrp_jax.propagation.along_chains import StepRefiner
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.step import trust
from wrp_jax.propagation.window_cues import HeldCues, MadeCues
from wrp_jax.types import UNLABELLED, ClassMap, UserError, clip_of

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


def keep(probs, features, cues):
    return probs


def propagate(method, scene, config=None, key=2, classes=CLASSES, cues=None, refine=keep):
    frames, labels, clip = scene
    cues = cues or HeldCues(clip)
    window = LabelledWindow(cues, (Keyframe(key, labels[key]),), classes, STILL)
    refiner = refine and StepRefiner(refine)
    return collect(len(frames), label_frames(method, config or options(), window, refiner))


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


@pytest.mark.parametrize("tau", [None, 0.25])
@pytest.mark.parametrize("recursive", [False, True])
def test_a_learnt_tau_and_the_place_of_omega_reach_warp_refine_alone(
    tau, recursive, scene, monkeypatch
):
    seen, original = [], along_chains.along_chains

    def watched(config, window, **keywords):
        seen.append((config.tau, keywords.get("recursive", True)))
        return original(config, window, **keywords)

    monkeypatch.setattr(along_chains, "along_chains", watched)
    frames, labels, clip = scene
    window = LabelledWindow(HeldCues(clip), (Keyframe(2, labels[2]),), CLASSES, STILL)
    refiner = StepRefiner(keep, recursive, tau)
    for method in ("warp-refine", "warp-inpaint"):
        collect(len(frames), label_frames(method, options(), window, refiner))
    assert seen == [(tau or options().tau, recursive)]  # warp-inpaint goes by another way


def test_a_refiner_with_new_variables_is_not_compiled_again(scene):
    def refine(variables, probs, features, cues):
        return jnp.zeros_like(probs).at[..., variables].set(1)

    before = along_chains._run_chunk._cache_size()
    for variables in (0, 2):
        omega = jax.tree_util.Partial(refine, np.int32(variables))
        result = propagate("warp-refine", scene, refine=omega)
        assert (result.labels[5] == variables).all()
    assert along_chains._run_chunk._cache_size() == before + 1


def test_windows_of_any_length_share_one_program_and_agree(scene):
    frames, labels, clip = scene
    whole = propagate("warp-inpaint", scene)
    size = along_chains._run_chunk._cache_size()
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
    assert along_chains._run_chunk._cache_size() == size


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


@pytest.mark.parametrize("method", METHODS)
def test_the_image_goes_along_where_a_method_can_move_it(method, scene):
    result = propagate(method, scene, options(move_images=True))
    assert (result.images is not None) == METHODS[method].moves_images == (method == "motion-only")
    if result.images is not None:
        images = scene[0] / np.float32(255)
        assert result.images.shape == (7, 8, 12, 3)
        np.testing.assert_allclose(result.images[3, :, :10], images[3, :, :10], atol=1e-5)
        np.testing.assert_allclose(result.images[2], images[2], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_what_it_says(method, scene):
    """A scene whose motion, then whose segmentation, says something else."""
    frames, labels, clip = scene
    before = propagate(method, scene).labels
    still = clip._replace(  # of one colour, so that motion is trusted
        frames=np.zeros_like(clip.frames),
        flow_backward=np.zeros_like(clip.flow_backward),
        flow_forward=np.zeros_like(clip.flow_forward),
    )
    moved = propagate(method, (frames, labels, still)).labels
    assert np.array_equal(before, moved) != METHODS[method].moves
    blind = clip._replace(probs=np.roll(clip.probs, 1, axis=-1))
    said = propagate(method, (frames, labels, blind)).labels
    assert np.array_equal(before, said) != METHODS[method].segments


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


def test_cues_are_made_piece_by_piece_and_only_what_a_method_reads(rng):
    clip, labels = shifting_clip(rng, n=14)
    frames = clip.frames
    asked = []
    motion, segment = exact(clip, asked)
    scene = frames, labels, clip
    for method in ("motion-only", "warp-inpaint", "semantic-only", "semantic-argmax"):
        whole = propagate(method, scene, key=5)
        asked.clear()
        pieces = propagate(method, scene, key=5, cues=MadeCues(clip_of(frames), motion, segment))
        assert bool(asked) == METHODS[method].segments and max(asked, default=0) <= 3 + 1
        np.testing.assert_array_equal(pieces.labels, whole.labels)
        np.testing.assert_allclose(pieces.confidence, whole.confidence, atol=1e-5)
    np.testing.assert_array_equal(propagate("warp-inpaint", scene).labels, labels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 31)])
def test_tiny_and_odd_sizes(rng, size):
    frames = rng.integers(0, 255, (3, *size, 3)).astype(np.uint8)
    label = rng.integers(0, 3, size).astype(np.int32)
    motion = build_motion(MotionConfig())

    def segment(clip, positions):
        probs = rng.dirichlet(np.ones(3), size=(len(positions), *size)).astype(np.float32)
        return probs, np.zeros((len(positions), 1, 1, 2), np.float32)

    for method in ("motion-only", "warp-inpaint"):
        cues = MadeCues(clip_of(frames), motion, segment)
        result = propagate(method, (frames, [label], None), key=0, cues=cues)
        assert result.labels.shape == (3, *size)
        assert result.labels.max() < 3


@pytest.mark.parametrize("pixels", [0.5, 1.5, 2.5])
def test_consistency_pixels_is_from_where_flow_does_not_lead_back(pixels):
    """Colours agree and g_ψ is sure: the forward-backward error alone decides."""
    mask = along_chains.mask_options(options(consistency_pixels=pixels))
    errors = jnp.array([[[0.0, 1.0, 2.0, 3.0]]])
    probs = jax.nn.one_hot(jnp.zeros((1, 1, 4), jnp.int32), 3)
    trusted = trust(mask, jnp.zeros((1, 1, 4)), jnp.ones((1, 1, 4)), errors, probs)
    np.testing.assert_array_equal(trusted, errors < pixels)
    assert along_chains.mask_options(options(mask="paper")).consistency_pixels is None


def test_mistakes_are_named(scene):
    for method, more, message in [
        ("x", {}, "is unknown: use one of static, motion-only"),
        ("warp-refine", {"refine": None}, "needs a trained refiner"),
    ]:
        with pytest.raises(UserError, match=message):
            propagate(method, scene, **more)
    with pytest.raises(UserError, match="mask='x' is unknown"):
        propagate("warp-inpaint", scene, options(mask="x"))
