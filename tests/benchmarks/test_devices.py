"""What a program exchanges, as its text says it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

from benchmarks.devices import GIB, by_rules, exchanged, sizes
from wrp_jax.models.layers import ConvNorm
from wrp_jax.sharding import make_mesh, state_shardings
from wrp_jax.training.loop import bind, jit_step
from wrp_jax.training.state import apply_gradients, create_train_state

TEXT = """
%all-gather.1 = bf16[4096,16]{1,0:T(8,128)(2,1)} all-gather(%convert.1), dimensions={0}
%g = (f32[64]{0}, f32[256]{0}) all-gather-start(%p), dimensions={0}
%done = f32[256]{0} all-gather-done(%g)
%all-reduce.1 = (f32[3,3,8]{2,1,0}, f32[]) all-reduce(%fusion, %b), to_apply=%add
%r = f32[16,4]{1,0} reduce-scatter(%fusion), dimensions={0}, to_apply=%add
%fusion = f32[256,4096]{1,0:T(8,128)} fusion(%param, %all-reduce.1), calls=%fused_computation
%m = (f32[8]{0}, f32[8]{0}) collective-permute-start(%x), source_target_pairs={{0,1}}
"""


def test_bytes_by_kind_of_exchange():
    found = exchanged(TEXT, devices=4)
    assert found["all-gather"] == 2 * 4096 * 16 + 4 * 256
    assert found["all-reduce"] == 4 * 3 * 3 * 8 + 4
    assert found["reduce-scatter"] == 4 * 4 * 16 * 4
    assert found["collective-permute"] == 4 * 8
    assert found["all-to-all"] == 0


def test_a_type_that_is_not_known_is_an_error():
    assert sizes("(pred[], u8[2,3]{1,0})") == [1, 6]
    with pytest.raises(KeyError):
        sizes("c64[2]")


class Layers(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        for index, (features, kernel) in enumerate([(64, 3), (256, 1), (64, 3)]):
            x = ConvNorm(features, kernel=kernel, name=f"layer{index}")(x, train=train)
        return x


@pytest.mark.parametrize("backend", ["cpu", "tpu"])
def test_a_compiled_step_gathers_parameters_and_sums_gradients_and_norms(backend, monkeypatch):
    """No activation goes from device to device, whichever way convolutions are written."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    module, optimizer, mesh = Layers(), optax.sgd(0.1, 0.9), make_mesh()

    def initial(key):
        return create_train_state(module.init(key, jnp.zeros((1, 8, 8, 64)), False), optimizer)

    def step(state, batch, key):
        def loss(params):
            variables = {"params": params, "batch_stats": state.batch_stats}
            y, new = module.apply(variables, batch, True, mutable=["batch_stats"])
            return jnp.square(y).mean(), new["batch_stats"]

        (value, stats), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        return apply_gradients(state, gradients, optimizer, batch_stats=stats), {"loss": value}

    state = jax.eval_shape(initial, jax.random.key(0))
    shardings = state_shardings(state, mesh, "fsdp")
    batch = jax.ShapeDtypeStruct((mesh.size, 16, 16, 64), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    program = jit_step(mesh, shardings).lower(bind(step), state, batch, key, None).compile()
    found, rules = exchanged(program.as_text(), mesh.size), by_rules(state, shardings, 4)
    assert 0.4 * rules["gathered"] < found["all-gather"] / GIB <= rules["gathered"]
    summed = (found["all-reduce"] + found["reduce-scatter"]) / GIB
    assert rules["summed"] <= summed < 1.1 * rules["summed"]
    assert found["all-to-all"] == found["collective-permute"] == 0
    assert program.memory_analysis().argument_size_in_bytes / GIB == pytest.approx(
        rules["state"] + batch.size / mesh.size * 4 / GIB, rel=0.01
    )
