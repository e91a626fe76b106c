"""One training step of the published network: loss, gradients and running statistics.

The fixture was computed in double precision; its README states what single precision can reach.
"""

import functools

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_layers import by_layer

from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.training.segmentation.published_losses import (
    binary_cross_entropy,
    region_mutual_information,
)
from wrp_jax.weights import hrnet, published

pytestmark = pytest.mark.golden

MODULE = HrnetOcr(19, attention=True, scales=(0.5, 1.0))


@functools.cache
def step():
    """The fixture, parts of the loss, statistics and gradients by published name."""
    golden = golden_files.arrays("hrnet_ocr_mscale_train")
    found, _ = published.fit_state_dict(
        golden_files.state_dict("hrnet_ocr_mscale"), "hrnet_ocr_mscale"
    )
    variables = jax.tree.map(jnp.asarray, published.nest(found))
    images = jnp.asarray(golden["images_uint8"] / np.float32(255))
    labels = jnp.asarray(golden["labels"].astype(np.int32))

    def loss(params):
        given = {**variables, "params": params}
        output, changed = MODULE.apply(given, images, train=True, mutable=["batch_stats"])
        aux = binary_cross_entropy(output.aux_logits, labels)
        main = region_mutual_information(output.logits, labels)
        low, high = (binary_cross_entropy(x, labels) for x in output.scale_logits)
        total = 0.4 * aux + main + 0.05 * (low + high)
        return total, ((aux, main, low, high), changed["batch_stats"])

    differentiate = by_layer(jax.value_and_grad(loss, has_aux=True))
    (total, (parts, stats)), gradient = differentiate(variables["params"])
    return golden, total, parts, _by_name("batch_stats", stats), _by_name("params", gradient)


def _by_name(collection, tree):
    return {
        "module." + published.published_name((collection, *path), hrnet.NAMES): value
        for path, value in published.leaves(tree)
    }


def test_loss():
    golden, total, parts, _, _ = step()
    np.testing.assert_allclose(parts, golden["loss_parts_aux_main_lo_hi"], rtol=1e-4)
    np.testing.assert_allclose(total, golden["loss"], rtol=1e-4)


def test_running_statistics_have_seen_the_small_image_first():
    golden, _, _, stats, _ = step()
    names = [key.removeprefix("after/") for key in golden if key.startswith("after/")]
    assert len(names) > 3
    for name in names:
        if name.endswith("num_batches_tracked"):
            continue
        np.testing.assert_allclose(stats[name], golden[f"after/{name}"], rtol=1e-4, atol=1e-6)


def test_gradients():
    golden, _, _, _, gradient = step()
    norms = {
        key.removeprefix("grad_norm/"): golden[key]
        for key in golden
        if key.startswith("grad_norm/")
    }
    assert len(norms) > 3
    for name, expected in norms.items():
        tolerance = 1e-4 if "cls_head" in name else 0.03
        got = np.linalg.norm(np.asarray(gradient[name], np.float64))
        assert got == pytest.approx(expected, rel=tolerance), name
    for key in (key for key in golden if key.startswith("grad/")):
        name = key.removeprefix("grad/")
        value = gradient[name]
        expected = golden[key]
        if expected.ndim > 1:
            # golden_files moves channels last in arrays of four axes; kernels are undone.
            expected = np.moveaxis(expected, -1, 1) if expected.ndim == 4 else expected
            expected = expected.transpose(2, 3, 1, 0).reshape(value.shape)
        tolerance = (1e-4 if "cls_head" in name else 0.03) * np.linalg.norm(expected)
        assert np.linalg.norm(value - expected) <= tolerance, name
    total = np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in gradient.values()))
    assert total == pytest.approx(golden["grad_norm_all"], rel=0.03)
