import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.training.segmentation.losses import segmentation_loss
from wrp_jax.types import UserError

LABELS = np.zeros((1, 32, 32), np.int32)
LABELS[:, :, 16:], LABELS[:, 20:, :] = 1, 2
COLOURS = np.array([[0.8, 0.2, 0.2], [0.2, 0.8, 0.2], [0.3, 0.3, 0.9]], np.float32)


def _options(**network):
    return SegmentationConfig(name="light", network=SegmentationNetwork(width=4, **network))


@pytest.fixture(scope="module")
def tiny():
    network = build_segmentation(_options(), 3)
    network = Network(jax.jit(network.init), jax.jit(network.apply, static_argnames="train"))
    return network, network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))


@pytest.fixture(scope="module")
def trained(tiny):
    """Variables after steps on one picture, losses, largest gradient of every parameter."""
    network, variables = tiny
    image, labels = jnp.asarray(COLOURS[LABELS]), jnp.asarray(LABELS)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(variables, state):
        def loss(params):
            output, stats = network.apply({**variables, "params": params}, image, train=True)
            return segmentation_loss(output, labels), stats

        (value, stats), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(gradient, state)
        params = optax.apply_updates(variables["params"], updates)
        largest = jax.tree.map(lambda g: jnp.abs(g).max(), gradient)
        return {"params": params, "batch_stats": stats}, state, value, largest

    state, losses, gradients = optimizer.init(variables["params"]), [], []
    for _ in range(60):
        variables, state, value, largest = step(variables, state)
        losses.append(float(value))
        gradients.append(largest)
    return variables, losses, gradients


@pytest.mark.parametrize("size", [(17, 31), (1, 5)])
def test_any_size_gives_logits_at_stride_2(tiny, size):
    network, variables = tiny
    output = network.apply(variables, jnp.full((2, *size, 3), 0.5))
    ceil = [-(-side // 2) for side in size]
    assert output.logits.shape == (2, *ceil, 3)
    eighth = [-(-side // 8) for side in size]
    assert output.features.shape[:3] == (2, *eighth)
    assert output.aux_logits.shape == (2, *eighth, 3)
    assert np.isfinite(output.logits).all()


def test_padding_is_the_edge_repeated(tiny):
    network, variables = tiny
    image = jax.random.uniform(jax.random.key(1), (1, 30, 29, 3))
    padded = jnp.pad(image, ((0, 0), (0, 2), (0, 3), (0, 0)), mode="edge")
    small, large = network.apply(variables, image), network.apply(variables, padded)
    np.testing.assert_allclose(small.logits, large.logits[:, :15, :15], atol=1e-5)


def test_a_large_picture_is_segmented_at_the_working_size(tiny):
    variables = tiny[1]
    network = build_segmentation(_options(max_pixels=32 * 32), 3)
    output = jax.eval_shape(network.apply, variables, jnp.zeros((1, 64, 256, 3)))
    assert output.logits.shape == (1, 8, 32, 3)  # 16 x 64 pixels
    flat = jax.jit(network.apply)(variables, jnp.full((1, 64, 64, 3), 0.25))
    small = jax.jit(network.apply)(variables, jnp.full((1, 32, 32, 3), 0.25))
    np.testing.assert_allclose(flat.logits, small.logits, atol=1e-5)


def test_training_returns_new_statistics(tiny, trained):
    old, new = tiny[1]["batch_stats"], trained[0]["batch_stats"]
    assert jax.tree.structure(new) == jax.tree.structure(old)
    same = [np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (old, new)), strict=True)]
    assert not any(same)


def test_every_parameter_is_trained(trained):
    for path, gradient in jax.tree_util.tree_leaves_with_path(trained[2][0]):
        assert gradient > 0, jax.tree_util.keystr(path)


def test_learns_a_toy_picture(tiny, trained):
    variables, losses, _ = trained
    assert losses[-1] < 0.15 * losses[0]
    output, _ = tiny[0].apply(variables, jnp.asarray(COLOURS[LABELS]), train=True)
    assert (output.logits.argmax(-1) == LABELS[:, ::2, ::2]).mean() > 0.95


def test_unknown_name_is_refused():
    with pytest.raises(UserError, match=r"'nothing'.*light"):
        build_segmentation(SegmentationConfig(name="nothing"), 3)
