import jax
import jax.numpy as jnp
import numpy as np
import optax

from wrp_jax.data.pipeline import make_batches
from wrp_jax.training.loop import fit
from wrp_jax.training.state import apply_gradients, create_train_state


def toy(seed=0):
    optimizer = optax.adam(1e-2)
    variables = {"params": {"w": jax.random.normal(jax.random.key(seed), (3, 2))}}

    def train_step(state, batch, key):
        noise = 0.01 * jax.random.normal(key, batch["x"].shape)

        def loss_fn(params):
            return jnp.mean(((batch["x"] + noise) @ params["w"] - batch["y"]) ** 2)

        loss, gradients = jax.value_and_grad(loss_fn)(state.params)
        return apply_gradients(state, gradients, optimizer), {"loss": loss}

    rng = np.random.default_rng(0)
    examples = [
        {"x": rng.normal(size=3).astype(np.float32), "y": np.float32([1, 2])} for _ in range(7)
    ]
    return create_train_state(variables, optimizer, ema=True), train_step, examples


def test_fit_runs(tmp_path):
    state, step, examples = toy()
    batches = make_batches(examples, batch_size=4, seed=3)
    state = fit(
        name="toy",
        state=state,
        train_step=step,
        batches=batches,
        steps=30,
        workdir=tmp_path,
        seed=1,
        metadata={},
        checkpoint_every=7,
        log_every=5,
    )
    assert int(state.step) == 30
