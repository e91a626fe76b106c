from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads
from propagation.clips import compiled_cues, random_clip, shifting_clip

from wrp_jax.config import MotionConfig
from wrp_jax.models.network import Network
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.cues import chain_cues, clip_cues, lay_out
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.sharding import batch_sharding, make_mesh, replicate
from wrp_jax.types import ClipCues, SegmentationOutput, clip_of


def test_a_chain_takes_the_flow_of_its_direction(rng):
    clip = random_clip(rng)
    cues = compiled_cues(clip, np.array([[0, 1, 2, 1, 1], [3, 2, 1, 0, 0]]))
    there, back = clip.flow_backward, clip.flow_forward
    np.testing.assert_array_equal(cues.flow[:3, 0], [there[0], there[1], back[1]])
    np.testing.assert_array_equal(cues.flow[:3, 1], [back[2], back[1], back[0]])
    np.testing.assert_array_equal(cues.flow[3], 0)
    np.testing.assert_array_equal(cues.active, [[1, 1], [1, 1], [1, 1], [0, 0]])
    shown = clip.frames / np.float32(255)
    np.testing.assert_array_equal(cues.image[:, 0], shown[[1, 2, 1, 1]])
    np.testing.assert_array_equal(cues.probs[:, 1], clip.probs[[2, 1, 0, 0]])
    np.testing.assert_array_equal(cues.features[:, 1], clip.features[[2, 1, 0, 0]])


def test_exact_flow_has_no_error_and_leaves_the_frame_at_one_side(rng):
    clip, _ = shifting_clip(rng)
    cues = compiled_cues(clip, np.array([[0, 1, 2], [2, 1, 0]]))
    within = np.arange(12)
    forward, backward = within + 2 <= 11, within - 2 >= 0
    for chain, expected in enumerate((forward, backward)):
        np.testing.assert_array_equal(cues.valid[0, chain, 0], expected)
        assert float(cues.photometric[:, chain][:, :, expected].max()) < 1e-5
        assert float(cues.photometric[:, chain][:, :, ~expected].max()) > 0.05
    assert float(cues.consistency.max()) < 1e-5


def test_void_flow_is_not_valid(rng):
    clip = random_clip(rng)
    clip.flow_backward[0, 2, 3] = np.nan
    cues = compiled_cues(clip, np.array([[0, 1]]))
    assert float(cues.valid[0, 0, 2, 3]) == 0
    assert np.isfinite(cues.photometric).all()
    assert np.isfinite(cues.consistency).all()


def test_laying_out_on_host_and_device_agree(rng):
    clip = random_clip(rng)
    orders = np.array([[1, 2, 3, 3], [1, 0, 0, 0]])
    host, device = lay_out(clip, orders), lay_out(jax.tree.map(jnp.asarray, clip), orders)
    assert host.direct is None and device.direct is None
    for a, b in zip(*map(jax.tree.leaves, (host, device)), strict=True):
        assert isinstance(a, np.ndarray)
        np.testing.assert_array_equal(a, b)


def test_a_clip_of_one_frame_stands_still(rng):
    frames = rng.integers(0, 255, (1, 5, 6, 3)).astype(np.uint8)
    cues = compiled_cues(
        clip_cues(clip_of(frames), build_motion(MotionConfig()), None), np.zeros((2, 3), int)
    )
    assert cues.flow.shape == (2, 2, 5, 6, 2)
    assert cues.probs.shape == (2, 2, 5, 6, 0)
    np.testing.assert_array_equal(cues.active, 0)


def test_cues_are_differentiable(rng, x64):
    clip = random_clip(rng, n=3, dtype=np.float64)
    cues = jax.jit(lambda *rest: chain_cues(ClipCues(clip.frames, *rest), np.array([[0, 1, 2, 1]])))
    check_grads(cues, tuple(clip[1:]), 1, modes=["rev"])


def test_clip_cues_asks_for_both_directions(rng):
    frames = rng.integers(0, 255, (3, 5, 6, 3)).astype(np.uint8)

    def motion(clip, targets, sources, initial=None):
        assert initial is None
        difference = clip.stack(targets).astype(np.float32) - clip.stack(sources)
        return difference[..., :2]

    clip = clip_cues(clip_of(frames), motion, None)
    expected = frames[1:, ..., :2].astype(np.float32) - frames[:-1, ..., :2]
    np.testing.assert_array_equal(clip.flow_backward, expected)
    np.testing.assert_array_equal(clip.flow_forward, -expected)
    np.testing.assert_array_equal(clip.frames, frames)


def _apply(variables, images, train=False):
    # Looks one pixel to the left, so that mirroring matters; stride 2.
    left = jnp.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    logits = variables["scale"] * jnp.concatenate([images, left], axis=-1)
    return SegmentationOutput(logits[:, ::2, ::2], images[:, ::4, ::4])


NETWORK = Network(lambda key, images: {"scale": jnp.float32(3)}, _apply)


def test_segmentation_does_not_depend_on_the_batch_size(rng):
    frames = rng.integers(0, 255, (5, 17, 31, 3)).astype(np.uint8)
    variables = {"scale": np.float32(3)}
    run = functools.partial(segment_clip, NETWORK, variables, clip_of(frames), range(len(frames)))
    probs, features = run(batch_size=5)
    assert probs.shape == (5, 17, 31, 6)
    assert features.shape == (5, 5, 8, 3)
    np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-5)
    for other in run(batch_size=2), run(batch_size=8):
        np.testing.assert_allclose(other[0], probs, atol=1e-6)
        np.testing.assert_allclose(other[1], features, atol=1e-6)


def test_segmentation_on_eight_devices_is_that_on_one(rng):
    frames = rng.integers(0, 255, (11, 17, 31, 3)).astype(np.uint8)
    mesh = make_mesh()
    assert mesh.size == 8
    variables = {"scale": np.float32(3)}
    alone = segment_clip(NETWORK, variables, clip_of(frames), range(11))
    run = functools.partial(
        segment_clip, NETWORK, replicate(variables, mesh), clip_of(frames), range(11)
    )
    spread = run(sharding=batch_sharding(mesh))
    for a, b in zip(spread, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    probs, features = run(sharding=batch_sharding(mesh), keep_features=False)
    np.testing.assert_array_equal(probs, spread[0])
    assert features.shape == (11, 1, 1, 0)
