import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrp_jax.training.segmentation import losses
from wrp_jax.types import SegmentationOutput


def test_uniform_scores_cost_the_logarithm_of_the_number_of_classes():
    target = jax.nn.one_hot(jnp.array([0, 3, 2]), 4)
    np.testing.assert_allclose(
        losses.cross_entropy(jnp.zeros((3, 4)), target), np.log(4), rtol=1e-6
    )


def test_class_weights_against_the_sum_written_out():
    logits = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    nll0 = np.log(1 + np.exp(-1.0))  # class 0 at the first pixel
    nll1 = np.log(1 + np.exp(2.0))  # class 0 at the second
    mixed = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    value = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(mixed), jnp.array([5.0, 1.0]))
    np.testing.assert_allclose(value, (nll0 + nll1) / 2, rtol=1e-6)
    first = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    nll1 = np.log(1 + np.exp(-2.0))
    value = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(first), jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(value, (3 * nll0 + nll1) / 4, rtol=1e-6)


def test_nothing_labelled_costs_nothing_and_has_a_gradient_of_zero():
    value, gradient = jax.value_and_grad(losses.cross_entropy)(jnp.ones((5, 3)), jnp.zeros((5, 3)))
    assert value == 0 and (gradient == 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), smoothing=st.sampled_from([0.0, 0.1]))
def test_is_pytorchs_cross_entropy(seed, smoothing):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (4, 6, 5)).astype(np.float32)
    labels = rng.integers(0, 6, (4, 6))
    labels[0, 0], labels[labels == 5] = 2, 255
    weights = rng.uniform(0.2, 3.0, 5).astype(np.float32) if not smoothing else np.ones(5, "f")
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits).reshape(-1, 5),
        torch.tensor(labels).reshape(-1),
        weight=torch.tensor(weights),
        ignore_index=255,
        label_smoothing=smoothing,
    )
    value = losses.cross_entropy(
        jnp.asarray(logits),
        jax.nn.one_hot(jnp.asarray(labels), 5),
        jnp.asarray(weights),
        smoothing=smoothing,
    )
    np.testing.assert_allclose(value, expected.item(), rtol=2e-5)


def test_label_distribution_counts_blocks_and_leaves_out_the_rest():
    labels = jnp.array([[[0, 1, 2, 2], [0, 255, 2, -1]]])
    shares = losses.label_distribution(labels, 3, (1, 2))
    np.testing.assert_allclose(shares[0, 0], [[0.5, 0.25, 0.0], [0.0, 0.0, 0.75]])
    full = losses.label_distribution(labels, 3, (2, 4))
    np.testing.assert_array_equal(full[0, 0, 1], [0, 1, 0])
    with pytest.raises(ValueError, match="do not divide"):
        losses.label_distribution(labels, 3, (1, 3))


def test_auxiliary_loss_has_its_weight():
    key = jax.random.key(0)
    logits = jax.random.normal(key, (1, 4, 4, 3))
    aux = jax.random.normal(jax.random.key(1), (1, 2, 2, 3))
    labels = jax.random.randint(key, (1, 8, 8), 0, 3)
    features = jnp.zeros((1, 2, 2, 1))
    main = losses.segmentation_loss(SegmentationOutput(logits, features), labels)
    only_aux = losses.segmentation_loss(SegmentationOutput(aux, features), labels)
    both = losses.segmentation_loss(SegmentationOutput(logits, features, aux), labels)
    np.testing.assert_allclose(both, main + 0.4 * only_aux, rtol=1e-6)


def test_class_weights_have_mean_one_and_a_limit():
    counts = jnp.array([1e6, 1e4, 1.0, 0.0])
    weights = losses.class_weights(counts, power=0.5, limit=20.0)
    np.testing.assert_allclose((weights * counts).sum() / counts.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights[1] / weights[0], 10.0, rtol=1e-4)
    np.testing.assert_allclose(weights[2] / weights[0], 20.0, rtol=1e-4)
    assert weights[3] == 1.0
    np.testing.assert_allclose(losses.class_weights(counts, power=0.0), 1.0, rtol=1e-6)
