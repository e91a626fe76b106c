"""bfloat16 is the arithmetic of activations alone; a step is traced, not run."""

import collections
import math

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import jaxprs_in_params

from wrp_jax.config import SegmentationConfig, SegmentationNetwork, SegmentationOptimiser
from wrp_jax.models.network import ARITHMETIC
from wrp_jax.models.segmentation.build import REGISTRY, build_segmentation
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.training.segmentation.crops import CropBatch
from wrp_jax.training.segmentation.recipe import make_loss, make_optimizer
from wrp_jax.training.segmentation.stage import make_train_step
from wrp_jax.training.state import create_train_state


def equations_of(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations_of(inner)


@pytest.fixture(scope="module")
def traced():
    """State before and after, metrics, and the equations of a step with the paper's loss."""

    def shallow(config, count):
        dtype = ARITHMETIC[config.network.dtype].dtype
        return HrnetOcr(count, 4, modules=(1, 1, 1), blocks=1, dtype=dtype)

    options = SegmentationConfig(
        name="hrnet_ocr",
        network=SegmentationNetwork(dtype="bfloat16"),
        optimiser=SegmentationOptimiser(loss="rmi", steps=10),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REGISTRY, "hrnet_ocr", shallow)
        network = build_segmentation(options, 3)
    optimizer = make_optimizer(options.optimiser, 10, 10)

    def initial(key):
        variables = network.init(key, jnp.zeros((1, 32, 32, 3)))
        return create_train_state(variables, optimizer, ema=True)

    state = jax.eval_shape(initial, jax.random.key(0))
    loss = make_loss(options.optimiser, jnp.ones(3))
    step = make_train_step(network, optimizer, loss, ema_decay=0.9)
    images = CropBatch(
        jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.uint8),
        jax.ShapeDtypeStruct((2, 32, 32), jnp.uint8),
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    jaxpr, (new, metrics) = jax.make_jaxpr(step, return_shape=True)(state, images, key)
    return state, new, metrics, list(equations_of(jaxpr.jaxpr))


def test_weights_statistics_and_optimiser_stay_float32(traced):
    state, new, metrics, _ = traced
    assert jax.tree.map(lambda x: x.dtype, new) == jax.tree.map(lambda x: x.dtype, state)
    kinds = collections.Counter(x.dtype.name for x in jax.tree.leaves(new))
    assert set(kinds) == {"float32", "int32"} and kinds["int32"] < 6, "counters alone"
    assert metrics["loss"].dtype == jnp.float32


def test_products_are_bfloat16_and_sums_over_pixels_float32(traced):
    _, _, _, equations = traced
    layers = [e for e in equations if e.primitive.name == "conv_general_dilated"]
    types = collections.Counter(e.invars[0].aval.dtype.name for e in layers)
    assert types["bfloat16"] > 0.9 * len(layers) > 50, types
    # Forward and backward: norms, losses, gradients of scales and biases.
    sums = [e for e in equations if e.primitive.name == "reduce_sum"]
    coarse = [
        e.invars[0].aval
        for e in sums
        if e.invars[0].aval.dtype == jnp.bfloat16
        and math.prod(e.invars[0].aval.shape[axis] for axis in e.params["axes"]) > 8
    ]
    assert len(sums) > 100 and not coarse, coarse
    for name in ("exp", "log", "rsqrt", "logistic"):
        found = [e for e in equations if e.primitive.name == name]
        assert all(e.invars[0].aval.dtype != jnp.bfloat16 for e in found), name
