from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from propagation.clips import compiled_cues, random_clip, shifting_clip

from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.step import MaskOptions, image_step, make_step, trust


def first(cues):
    return jax.tree.map(lambda x: x[0], cues)


@pytest.fixture
def shifting(rng):
    clip, labels = shifting_clip(rng)
    return first(compiled_cues(clip, np.array([[0, 1], [4, 3]]))), labels


def test_masks(rng):
    cues = first(compiled_cues(random_clip(rng), np.array([[0, 1]])))
    photometric = np.asarray(cues.photometric) < 0.6
    valid = np.asarray(cues.valid) > 0
    consistent = np.asarray(cues.consistency) < 1.0
    unsure = np.asarray(cues.probs).max(-1) <= 0.5
    for options, expected in [
        (MaskOptions(0.6), photometric & valid),
        (MaskOptions(0.6, 1.0), photometric & valid & consistent),
        (MaskOptions(0.6, 1.0, 0.5), photometric & valid & (consistent | unsure)),
    ]:
        assert 0 < expected.mean() < 1
        found = trust(options, cues.photometric, cues.valid, cues.consistency, cues.probs)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["hard", "soft", "composed"])
def test_warp_inpaint_fills_what_enters_the_frame(name, shifting):
    cues, truth = shifting
    start = jnp.asarray(truth[[0, 4]])
    for mask, exact in ((MaskOptions(0.05), True), (None, False)):
        carrier = build_carrier(name, 3, inpaint=mask is not None)
        _, reading = jax.jit(make_step(carrier, mask))(carrier.init(start), cues)
        assert bool((reading.labels == truth[[1, 3]]).all()) is exact
        np.testing.assert_array_equal(reading.labels[0, :, :10], truth[1][:, :10])


@pytest.mark.parametrize("name", ["hard", "soft", "composed"])
def test_refinement_goes_back_into_the_state(name, shifting):
    cues, truth = shifting
    carrier = build_carrier(name, 3)
    seen = {}

    def refine(probs, features, cues):
        seen.update(probs=probs.shape, features=features.shape, image=cues.image.shape)
        return jnp.roll(probs, 1, axis=-1)  # class c becomes c + 1

    step = make_step(carrier, MaskOptions(0.05), refine)
    state, reading = jax.jit(step)(carrier.init(jnp.asarray(truth[[0, 4]])), cues)
    expected = (truth[[1, 3]] + 1) % 3
    np.testing.assert_array_equal(reading.labels, expected)
    np.testing.assert_array_equal(jnp.argmax(carrier.probs(state), axis=-1), expected)
    assert seen == {"probs": (2, 8, 12, 3), "features": (2, 2, 3, 4), "image": (2, 8, 12, 3)}


@pytest.mark.parametrize("name", ["hard", "soft", "composed"])
def test_refinement_at_the_end_is_read_and_not_carried_on(name, shifting):
    cues, truth = shifting
    carrier = build_carrier(name, 3)
    refine = lambda probs, features, cues: jnp.roll(probs, 1, axis=-1)  # noqa: E731
    step = make_step(carrier, MaskOptions(0.05), refine, recursive=False)
    state, reading = jax.jit(step)(carrier.init(jnp.asarray(truth[[0, 4]])), cues)
    np.testing.assert_array_equal(reading.labels, (truth[[1, 3]] + 1) % 3)
    np.testing.assert_array_equal(jnp.argmax(carrier.probs(state), axis=-1), truth[[1, 3]])


@pytest.mark.parametrize("name", ["hard", "soft", "composed"])
def test_padded_steps_leave_everything_as_it_is(name, rng):
    clip = random_clip(rng)
    cues = first(compiled_cues(clip, np.array([[0, 1], [2, 2]])))
    carrier = build_carrier(name, 3)
    state = carrier.init(jnp.asarray(rng.integers(0, 3, (2, 5, 6)), jnp.int32))
    refine = lambda probs, features, cues: jnp.roll(probs, 1, axis=-1)  # noqa: E731
    new, reading = jax.jit(make_step(carrier, MaskOptions(0.1), refine))(state, cues)
    for now, before in zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(now[1], before[1])
    np.testing.assert_array_equal(reading.labels[1], carrier.read(state).labels[1])
    assert not np.array_equal(reading.labels[0], carrier.read(state).labels[0])


def test_the_image_moves_with_the_labels(rng):
    clip, _ = shifting_clip(rng)
    cues = compiled_cues(clip, np.array([[0, 1, 2, 2]]))
    shown = clip.frames / np.float32(255)
    state = jnp.asarray(shown[:1]), jnp.zeros((1, 8, 12, 2))
    (_, flow), images = jax.lax.scan(image_step, state, cues)
    np.testing.assert_allclose(flow[0, ..., 0], 4)
    np.testing.assert_allclose(images[0, 0, :, :10], shown[1, :, :10], atol=1e-6)
    np.testing.assert_allclose(images[1, 0, :, :8], shown[2, :, :8], atol=1e-6)
    np.testing.assert_array_equal(images[2], images[1])
