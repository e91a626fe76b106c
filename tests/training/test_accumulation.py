import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.sharding import batch_sharding, make_mesh
from wrp_jax.training.accumulation import gradient_in_parts
from wrp_jax.types import UserError


def _loss(params, batch_stats, batch, key):
    error = batch["x"] @ params["w"] - batch["y"]
    return jnp.square(error).mean(), {"seen": batch_stats["seen"] + len(error)}


SIZES = {"x": 4, "y": 2}


@pytest.fixture
def case(rng):
    batch = {
        name: jnp.asarray(rng.normal(size=(16, n)), jnp.float32)
        for name, n in zip("xy", (4, 2), strict=True)
    }
    params = {"w": jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)}
    return params, {"seen": jnp.zeros((), jnp.int32)}, batch, jax.random.key(0)


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_parts_give_the_gradient_of_the_whole(case, parts):
    (value, stats), gradient = jax.jit(gradient_in_parts(_loss, parts))(*case)
    (expected, _), whole = gradient_in_parts(_loss, 1)(*case)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient["w"], whole["w"], atol=1e-6)
    assert stats["seen"] == 16


def test_a_part_of_a_batch_on_eight_devices_is_on_eight_devices(case):
    params, stats, batch, key = case
    spread = jax.device_put(batch, batch_sharding(make_mesh()))
    step = jax.jit(gradient_in_parts(_loss, 2))
    np.testing.assert_allclose(
        step(params, stats, spread, key)[1]["w"], step(*case)[1]["w"], atol=1e-6
    )


def test_a_batch_that_does_not_divide_is_refused(case):
    with pytest.raises(UserError, match=r"16 does not divide into .*accumulate=3"):
        gradient_in_parts(_loss, 3)(*case)
