import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.training.segmentation.losses import cross_entropy, label_distribution
from wrp_jax.training.segmentation.published_losses import (
    binary_cross_entropy,
    image_weighted_cross_entropy,
    region_mutual_information,
    relax_labels,
    relaxed_cross_entropy,
)

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def golden():
    return golden_files.arrays("seg_losses")


def plain(logits, labels):
    target = label_distribution(labels, logits.shape[-1], labels.shape[1:])
    return cross_entropy(logits, target)


def relaxed(logits, labels):
    """As the released code sums a batch: with the divisors of every image of it."""
    marks = relax_labels(labels, logits.shape[-1])
    count = marks[..., :-1].sum(-1)
    turns = (jnp.roll(count, k, 0) for k in range(len(labels)))
    return sum(relaxed_cross_entropy(logits, marks, divisors) for divisors in turns)


LOSSES = {
    "cross_entropy": plain,
    "rmi_bce_only": binary_cross_entropy,
    "rmi": region_mutual_information,
    "img_weighted_ce": image_weighted_cross_entropy,
    "label_relaxation": relaxed,
}


@pytest.mark.parametrize("name", LOSSES)
def test_equal_to_the_published_loss_and_gradient(golden, name):
    labels = jnp.asarray(golden["labels"], jnp.int32)
    value, gradient = jax.jit(jax.value_and_grad(LOSSES[name]))(
        jnp.asarray(golden["logits"]), labels
    )
    np.testing.assert_allclose(value, golden[name], rtol=1e-5)
    expected = golden[f"{name}_grad_every3"]
    np.testing.assert_allclose(gradient[:, ::3, ::3], expected, atol=1e-4 * np.abs(expected).max())


def test_relaxed_labels_equal_the_published_ones(golden):
    _, classes, height, width = golden["relaxed_shape"]
    marks = relax_labels(jnp.asarray(golden["labels"], jnp.int32), int(classes) - 1)
    # Read as an array of channels last, the bits still run along the rows.
    bits = np.unpackbits(np.moveaxis(golden["relaxed_multihot"], -1, 1), axis=-1)[..., :width]
    np.testing.assert_array_equal(np.moveaxis(np.asarray(marks), -1, 1), bits)
    assert bits.shape[2] == height


def test_relaxation_asks_for_nothing_but_the_union_at_a_border():
    labels = jnp.array([[[0, 0, 1, 1]] * 3])
    marks = relax_labels(labels, 2)
    np.testing.assert_array_equal(marks[0, 1, 1], [1, 1, 0])
    np.testing.assert_array_equal(marks[0, 1, 0], [1, 0, 1])  # the outside is not known
    logits = jnp.zeros((1, 3, 4, 2))
    gradient = jax.grad(relaxed_cross_entropy)(logits, marks)
    np.testing.assert_allclose(gradient[0, 1, 1:3], 0.0, atol=1e-7)
    assert np.all(np.asarray(gradient)[0, 1, 0] != 0)


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "cross_entropy"])
def test_unknown_labels_teach_nothing(name):
    logits = jax.random.normal(jax.random.key(0), (2, 16, 20, 3))
    labels = jnp.full((2, 16, 20), 255)
    value, gradient = jax.value_and_grad(LOSSES[name])(logits, labels)
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)


def test_region_loss_survives_a_perfect_prediction():
    # Here the covariance that remains is nothing but rounding in single precision.
    labels = jax.random.randint(jax.random.key(1), (1, 64, 64), 0, 3)
    labels = jnp.repeat(jnp.repeat(labels, 4, 1), 4, 2)
    logits = 40.0 * jax.nn.one_hot(labels, 3) - 20.0
    value, gradient = jax.value_and_grad(region_mutual_information)(logits, labels)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert value < region_mutual_information(0.5 * logits, jnp.roll(labels, 8, 1))
