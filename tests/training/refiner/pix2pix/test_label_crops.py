"""Crops of labels with the features under them."""

import numpy as np
import pytest

from wrp_jax.propagation.step import MaskOptions
from wrp_jax.training.refiner.pix2pix.label_crops import label_crops
from wrp_jax.types import ClipCues


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
