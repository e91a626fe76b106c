"""Crops of labels with the features under them."""

import numpy as np
import pytest

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.step import MaskOptions
from wrp_jax.training.refiner.examples.cycles import Cycle
from wrp_jax.training.refiner.pix2pix.label_crops import label_crops, label_examples
from wrp_jax.types import ClipCues, clip_of


def test_crops_of_labels_lie_on_the_grid_of_the_features(rng):
    n, h, w = 3, 104, 120
    features = np.arange(13 * 15, dtype=np.float32).reshape(1, 13, 15, 1).repeat(n, 0)
    label = np.arange(h)[:, None] // 8 * 15 + np.arange(w) // 8  # the feature it lies under
    clip = ClipCues(
        frames=np.zeros((n, h, w, 3), np.uint8),
        flow_backward=np.zeros((n - 1, h, w, 2), np.float32),
        flow_forward=np.zeros((n - 1, h, w, 2), np.float32),
        probs=np.full((n, h, w, 250), 1 / 250, np.float32),
        features=features,
    )
    crops = label_crops(rng, clip, np.arange(n)[None], {2: label}, label, MaskOptions(0.5), count=4)
    for crop in crops:
        np.testing.assert_array_equal(crop.truth[::8, ::8], crop.features[..., 0])
        np.testing.assert_array_equal(crop.labels.argmax(-1), crop.truth)


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_features_of_any_stride_lie_where_their_pixels_do(rng, stride):
    n, h, w = 2, 112, 128
    centres = [stride * np.arange(size // stride) + (stride - 1) / 2 for size in (h, w)]
    features = np.stack(np.meshgrid(*centres, indexing="ij"), -1).astype(np.float32)
    label = np.arange(h)[:, None] // 8 * 16 + np.arange(w) // 8  # 8x8 pixels share a label
    clip = ClipCues(
        frames=np.zeros((n, h, w, 3), np.uint8),
        flow_backward=np.zeros((n - 1, h, w, 2), np.float32),
        flow_forward=np.zeros((n - 1, h, w, 2), np.float32),
        probs=np.full((n, h, w, 250), 1 / 250, np.float32),
        features=features[None].repeat(n, 0),
    )
    crops = label_crops(rng, clip, np.arange(n)[None], {1: label}, label, MaskOptions(0.5), count=4)
    for crop in crops:
        block = crop.truth[::8, ::8].astype(int)
        place = 8 * np.stack(np.divmod(block, 16), -1) + 3.5
        # Beyond the centres of the outermost features these are repeated.
        first, last = ([c[end] for c in centres] for end in (0, -1))
        np.testing.assert_array_equal(crop.features, np.clip(place, first, last))


def test_cycles_of_anchored_labels_are_those_of_composed_ones(rng):
    """Flow straight into the labelled frame would skip the cycle, and Ω learn nothing from it."""
    n, h, w = 3, 100, 98
    frames = rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8)
    cues = ClipCues(
        frames=frames,
        flow_backward=rng.normal(0, 2, (n - 1, h, w, 2)).astype(np.float32),
        flow_forward=rng.normal(0, 2, (n - 1, h, w, 2)).astype(np.float32),
        probs=np.full((n, h, w, 3), 1 / 3, np.float32),
        features=np.zeros((n, 13, 13, 1), np.float32),
    )
    truth = rng.integers(0, 3, (h, w)).astype(np.int32)
    cycle = Cycle(cues, np.array([[0, 1, 2, 1, 0]]), truth, clip_of(frames))
    anchored, composed = (
        list(
            label_examples(PropagationConfig(carrier=carrier), 1).from_cycle(
                np.random.default_rng(0), cycle
            )
        )
        for carrier in ("anchored", "composed")
    )
    assert len(anchored) == 4
    for a, b in zip(anchored, composed, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
