import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wrp_jax.training.state import apply_gradients, create_train_state, inference_variables

OPTIMIZER = optax.sgd(0.5)
VARIABLES = {"params": {"w": jnp.asarray([1.0, 2.0])}, "batch_stats": {"m": jnp.zeros(1)}}
GRADIENTS = {"w": jnp.asarray([1.0, -1.0])}


def test_sgd_by_hand():
    state = create_train_state(VARIABLES, OPTIMIZER)
    assert state.step.dtype == jnp.int32
    new = apply_gradients(state, GRADIENTS, OPTIMIZER, batch_stats={"m": jnp.ones(1)})
    np.testing.assert_allclose(new.params["w"], [0.5, 2.5])
    np.testing.assert_allclose(new.batch_stats["m"], [1.0])
    assert new.ema is None
    assert int(new.step) == 0  # fit counts
    assert inference_variables(new) == {"params": new.params, "batch_stats": new.batch_stats}


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (8, 0.5), (100000, 0.99)])
def test_the_moving_average_by_hand(step, decay):
    state = create_train_state(VARIABLES, OPTIMIZER, ema=True).replace(step=jnp.int32(step))
    stats = {"m": jnp.ones(1)}
    new = apply_gradients(state, GRADIENTS, OPTIMIZER, batch_stats=stats, ema_decay=0.99)
    expected = decay * np.array([1.0, 2.0]) + (1 - decay) * np.array([0.5, 2.5])
    average = inference_variables(new)
    np.testing.assert_allclose(average["params"]["w"], expected, rtol=1e-6)
    np.testing.assert_allclose(average["batch_stats"]["m"], [1 - decay], rtol=1e-5)


def test_no_running_statistics():
    state = create_train_state({"params": VARIABLES["params"]}, OPTIMIZER)
    assert apply_gradients(state, GRADIENTS, OPTIMIZER).batch_stats == {}
