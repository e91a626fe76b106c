"""A tiny regression to train: convolution, batch norm, random keys. Also a program of its own.

python toy.py WORKDIR STEPS SECONDS_PER_EXAMPLE
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wrp_jax.sharding import RULES, largest_axis, make_mesh
from wrp_jax.training.loop import fit
from wrp_jax.training.pipeline import make_batches
from wrp_jax.training.state import apply_gradients, create_train_state

EXAMPLES = 7
WIDTH = 8
BATCH = 8
OPTIMIZER = optax.adam(1e-2)
RULES["parts"] = ((".*", functools.partial(largest_axis, small=1)),)  # no array is too small
METADATA = {"classes": {"classes": [{"id": 0, "name": "a"}]}, "fingerprint": "f" * 64}


def examples():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(EXAMPLES, 6, 6, 2)).astype(np.float32)
    return [{"image": image, "target": image.sum(-1)} for image in images]


def augment(example, rng):
    noise = rng.normal(scale=0.1, size=example["image"].shape).astype(np.float32)
    return {**example, "image": example["image"] + noise}


def initial_state(seed=0, channels=2):
    keys = jax.random.split(jax.random.key(seed), 2)
    params = {
        "conv": 0.1 * jax.random.normal(keys[0], (3, 3, channels, WIDTH)),
        "head": jax.random.normal(keys[1], (WIDTH,)),
    }
    variables = {"params": params, "batch_stats": {"mean": jnp.zeros(WIDTH)}}
    return create_train_state(variables, OPTIMIZER, ema=True)


def train_step(state, batch, key):
    keep = jax.random.bernoulli(key, 0.9, (WIDTH,))  # the same for every example: 1 device = 8

    def loss_fn(params):
        x = jax.lax.conv_general_dilated(
            batch["image"], params["conv"], (1, 1), "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        mean = x.mean((0, 1, 2))  # as in batch norm: over the global batch
        x = jax.nn.relu(x - mean) * keep
        error = (x @ params["head"] - batch["target"]) ** 2
        return error.mean(), (mean, error)

    (loss, (mean, error)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    batch_stats = {"mean": 0.9 * state.batch_stats["mean"] + 0.1 * mean}
    state = apply_gradients(state, gradients, OPTIMIZER, batch_stats=batch_stats, ema_decay=0.9)
    return state, {"loss": loss, "small": ((error < 0.5).sum(), error.size)}


def run(workdir, *, steps, transform=augment, devices=1, workers=0, **options):
    batches = make_batches(
        examples(), batch_size=BATCH, seed=3, transform=transform, workers=workers,
        process_index=jax.process_index(), process_count=jax.process_count(),
    )  # fmt: skip
    arguments = {
        "name": "toy", "state": initial_state(), "train_step": train_step, "batches": batches,
        "steps": steps, "workdir": workdir, "seed": 1, "metadata": METADATA,
        "checkpoint_every": 5, "log_every": 3, "mesh": make_mesh(jax.devices()[:devices]),
    }  # fmt: skip
    return fit(**{**arguments, **options})


def main():
    workdir, steps, seconds = sys.argv[1:]

    def slow(example, rng):
        time.sleep(float(seconds))
        return augment(example, rng)

    run(workdir, steps=int(steps), transform=slow)


if __name__ == "__main__":
    main()
