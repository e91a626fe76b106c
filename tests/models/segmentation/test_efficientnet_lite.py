"""The encoder against the published network, by outputs that it gave (``tests/golden``)."""

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.weights import efficientnet, published
from wrp_jax.weights.load import load_weights

STRIDES = (2, 4, 8, 16, 32)
_encode = jax.jit(efficientnet.encoder().apply)  # compiled once for both tests


def _compare(variables, kind):
    stored = golden_files.arrays("efficientnet_lite0")
    image = jnp.asarray(stored["image_uint8"].astype(np.float32) / 255.0)
    found = _encode(variables, image)
    assert len(found) == len(STRIDES)
    for stride, features in zip(STRIDES, found, strict=True):
        assert features.shape[1:3] == (64 // stride, 96 // stride)
        expected = stored[f"{kind}_{stride}"]
        tolerance = 1e-4 * float(expected.std())
        np.testing.assert_allclose(features[..., ::4], expected, rtol=1e-4, atol=tolerance)


@pytest.mark.golden
def test_features_are_the_published_networks():
    state = golden_files.state_dict("efficientnet_lite0")
    found, report = published.fit_state_dict(state, "efficientnet_lite0")
    assert report.complete, report
    _compare(published.nest(found), "random")


@pytest.mark.golden
def test_features_of_the_installed_weights_are_the_published_ones():
    path = efficientnet.packaged_weights()
    _compare(load_weights(path, "efficientnet_lite0"), "published")
