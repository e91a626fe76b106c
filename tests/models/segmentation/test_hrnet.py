"""The HRNet family at a size that compiles in seconds: one block and one module everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.hrnet import HighResolutionNet
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr, ScaleOutput, combine
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.sharding import batch_sharding, make_mesh, replicate
from wrp_jax.types import clip_of

TINY = {"width": 4, "modules": (1, 1, 1), "blocks": 1}


@pytest.fixture(scope="module")
def tiny():
    module = HrnetOcr(3, attention=True, scales=(0.5, 1.0), **TINY)
    image = jax.random.uniform(jax.random.key(1), (2, 37, 50, 3))
    variables = jax.jit(module.init)(jax.random.key(0), image)
    return module, variables, image


@pytest.fixture(scope="module")
def trained(tiny):
    """Loss, batch statistics and gradients of a training step, without and with remat."""
    module, variables, image = tiny

    def run(remat):
        network = module.clone(remat=remat)

        @jax.value_and_grad
        def step(params):
            output, _ = network.apply(
                {**variables, "params": params}, image, train=True, mutable=["batch_stats"]
            )
            return jnp.square(output.logits).mean() + jnp.square(output.aux_logits).mean()

        return jax.jit(step)(variables["params"])

    return run(False), run(True)


@pytest.mark.parametrize("width", [18, 32, 48])
def test_width_alone_makes_the_family(width):
    module = HighResolutionNet(width, modules=(1, 1, 1), blocks=1)
    image = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    features, variables = jax.eval_shape(
        lambda x: module.init_with_output(jax.random.key(0), x, train=False), image
    )
    assert features.shape == (1, 16, 24, 15 * width)
    widths = {
        x.shape[-1]
        for name, tree in variables["params"]["stage4_0"].items()
        for x in jax.tree.leaves(tree)
        if name.startswith("branches")
    }
    assert widths == {width, 2 * width, 4 * width, 8 * width}


def test_odd_sizes(tiny):
    module, variables, image = tiny
    output = jax.jit(module.apply)(variables, image)
    assert output.logits.shape == output.aux_logits.shape == (2, 37, 50, 3)
    assert output.attention.shape == (2, 37, 50, 1)
    assert output.features.shape == (2, 10, 13, 512)
    assert [x.shape for x in output.scale_logits] == [(2, 37, 50, 3)] * 2
    assert output.attention.min() >= 0 and output.attention.max() <= 1
    rounded = jax.jit(module.clone(dtype=jnp.bfloat16).apply)(variables, image)
    assert rounded.logits.dtype == jnp.float32
    error = np.abs(rounded.logits - output.logits).max()
    assert 0 < error < 0.1 * np.abs(output.logits).max()


def test_frames_on_eight_devices_are_those_on_one(tiny, rng):
    module, variables, _ = tiny
    network = Network(module.init, module.apply)
    clip = clip_of(rng.integers(0, 256, (9, 37, 50, 3)).astype(np.uint8))
    alone = segment_clip(network, variables, clip, range(9), batch_size=9)
    mesh = make_mesh()
    assert mesh.size == 8
    spread = segment_clip(
        network,
        replicate(variables, mesh),
        clip,
        range(9),
        batch_size=8,
        sharding=batch_sharding(mesh),
    )
    for a, b in zip(spread, alone, strict=True):
        assert a.shape == b.shape and np.ptp(b) > 0.01
        np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max())


def test_remat_changes_no_gradient(trained):
    (loss, gradient), (loss_again, again) = trained
    np.testing.assert_allclose(loss_again, loss, rtol=1e-6)
    for a, b in zip(*map(jax.tree.leaves, (again, gradient)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max() + 1e-9)


def test_gradients_reach_every_kernel(trained):
    for path, gradient in jax.tree_util.tree_leaves_with_path(trained[0][1]):
        if path[-1].key == "kernel":
            assert np.abs(gradient).max() > 0, jax.tree_util.keystr(path)


def _flat(value, attention, size):
    """What a network says that sees the same everywhere."""
    h, w = -(-size[0] // 4), -(-size[1] // 4)
    logits = jnp.full((1, h, w, 2), value)
    return ScaleOutput(jnp.zeros((1, h, w, 4)), logits, -logits, jnp.full((1, h, w, 1), attention))


def test_every_scale_is_trusted_over_the_finer_ones_as_far_as_it_says():
    sizes = {0.5: (8, 12), 1.0: (16, 24), 2.0: (32, 48)}
    looks = {
        0.5: _flat(1.0, 0.25, sizes[0.5]),
        1.0: _flat(2.0, 0.5, sizes[1.0]),
        2.0: _flat(4.0, 0.9, sizes[2.0]),  # the finest scale's attention plays no part
    }
    output = combine(looks, sizes)
    expected = 0.25 * 1.0 + 0.75 * (0.5 * 2.0 + 0.5 * 4.0)
    np.testing.assert_allclose(output.logits, np.full((1, 16, 24, 2), expected), rtol=1e-6)
    np.testing.assert_allclose(output.aux_logits, -output.logits, rtol=1e-6)
    for value, logits in zip((1.0, 2.0, 4.0), output.scale_logits, strict=True):
        np.testing.assert_allclose(logits, value, rtol=1e-6)


def test_several_scales_need_attention():
    looks = {s: _flat(1.0, 0.5, (8, 8))._replace(attention=None) for s in (0.5, 1.0)}
    with pytest.raises(ValueError, match="attention head"):
        combine(looks, {0.5: (4, 4), 1.0: (8, 8)})
