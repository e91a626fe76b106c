import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.models.segmentation.efficientnet_lite import FIXED, EfficientNetLite, Stage

SMALL = (Stage(1, 3, 1, 1, 4), Stage(1, 3, 2, 2, 4), Stage(1, 5, 2, 2, 6), Stage(1, 3, 2, 2, 6))


@pytest.mark.parametrize("size", [(17, 31), (1, 70)])
def test_any_size_gives_logits_at_stride_2(size):
    network = build_segmentation(SegmentationConfig(name="efficient"), 3)
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    output = jax.eval_shape(network.apply, variables, images)
    eighth = tuple(-(-side // 8) for side in size)
    assert output.logits.shape == (2, *(-(-side // 2) for side in size), 3)
    assert output.features.shape == (2, *eighth, 96)
    assert output.aux_logits.shape == (2, *eighth, 3)


def test_first_stages_and_all_statistics_stay_and_the_rest_learns():
    module = EfficientNetLite(SMALL)
    images = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3))
    variables = jax.jit(module.init, static_argnames="train")(jax.random.key(1), images, train=True)

    @jax.jit
    def gradient(params):
        def loss(params):
            given = {**variables, "params": params}
            found, changed = module.apply(given, images, train=True, mutable=["batch_stats"])
            return sum(jnp.square(x).sum() for x in found), changed["batch_stats"]

        return jax.grad(loss, has_aux=True)(params)

    gradients, statistics = gradient(variables["params"])
    jax.tree.map(np.testing.assert_array_equal, statistics, variables["batch_stats"])
    fixed = {"stem_conv", "stem_norm", *(f"blocks_{k}" for k in range(FIXED))}
    assert fixed < gradients.keys()
    for name, layer in gradients.items():
        for x in jax.tree.leaves(layer):
            assert bool((x == 0).all()) == (name in fixed), name
