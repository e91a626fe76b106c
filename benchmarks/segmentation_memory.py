"""Memory of a training step of hrnet_ocr_mscale: ``python -m benchmarks.segmentation_memory``.

Crops of 1024x2048, 19 classes, two scales, cross entropy on the main and the auxiliary scores
(``--loss=rmi``: RMI on the main ones), SGD with momentum; nothing is run. Two figures:

1. What the forward pass keeps for the backward pass, from the traced program: no compiler's choice.
2. What XLA sets aside for the compiled step, with ``--compile`` (minutes). The compiler is that of
   this machine; one for accelerators chooses other layouts and scratch memory. XLA:CPU drops
   optimization barriers, without which what remat computes twice can be merged again.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import optax

from experiments.record import record_option, write_result
from wrp_jax.config import SegmentationConfig, SegmentationNetwork, SegmentationOptimiser
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.training.segmentation.crops import CropBatch
from wrp_jax.training.segmentation.recipe import make_loss
from wrp_jax.training.segmentation.stage import make_train_step
from wrp_jax.training.state import create_train_state

GIB = 2**30
CLASSES = 19


def kept(size: tuple[int, int], batch: int, options: SegmentationConfig) -> float:
    """GiB of residuals of one part of a batch; parameters and batch are counted elsewhere."""
    network, loss, _, state, images = made(size, batch, options)

    def objective(params, batch_stats, crops):
        variables = {"params": params, "batch_stats": batch_stats}
        pixels = crops.image.astype(jnp.float32) / 255.0
        output, stats = network.apply(variables, pixels, train=True)
        return loss(output, crops.label.astype(jnp.int32)), stats

    def residuals(params, batch_stats, crops):
        return jax.vjp(lambda p: objective(p, batch_stats, crops), params, has_aux=True)[1]

    leaves = jax.tree.leaves(jax.eval_shape(residuals, state.params, state.batch_stats, images))
    total = sum(x.size * x.dtype.itemsize for x in leaves)
    own = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state.params))
    return (total - own) / GIB


def memory(
    size: tuple[int, int], batch: int, accumulate: int, options: SegmentationConfig
) -> tuple[float, float]:
    """GiB that the compiled step takes, and those of state and batch."""
    network, loss, optimizer, state, images = made(size, batch, options)
    step = make_train_step(network, optimizer, loss, ema_decay=0.0, accumulate=accumulate)
    key = jax.eval_shape(lambda: jax.random.key(0))
    program = jax.jit(step, donate_argnums=0).lower(state, images, key)
    # Machine code is not what is looked at: the least work on it.
    analysis = program.compile({"xla_backend_optimization_level": 0}).memory_analysis()
    return analysis.temp_size_in_bytes / GIB, analysis.argument_size_in_bytes / GIB


def made(size: tuple[int, int], batch: int, options: SegmentationConfig):
    """Network, loss, optimiser, and the shapes of state and batch."""
    network = build_segmentation(options, CLASSES)
    optimizer = optax.sgd(1e-2, momentum=0.9)

    def initial(key):
        variables = network.init(key, jnp.zeros((1, 64, 64, 3)))
        return create_train_state(variables, optimizer, ema=False)

    images = CropBatch(
        jax.ShapeDtypeStruct((batch, *size, 3), jnp.uint8),
        jax.ShapeDtypeStruct((batch, *size), jnp.uint8),
    )
    state = jax.eval_shape(initial, jax.random.key(0))
    loss = make_loss(options.optimiser, jnp.ones(CLASSES))
    return network, loss, optimizer, state, images


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--loss", default="weighted")
    parser.add_argument("--compile", action="store_true")
    record_option(parser)
    o = parser.parse_args()
    size, part = tuple(o.size), o.batch // o.accumulate
    options = SegmentationConfig(
        name="hrnet_ocr_mscale",
        network=SegmentationNetwork(remat=o.remat, dtype=o.dtype),
        optimiser=SegmentationOptimiser(loss=o.loss),
    )
    found = {"kept": kept(size, part, options)}
    print(vars(o), f"{found['kept']:6.1f} GiB kept for the backward pass", flush=True)
    if o.compile:
        found["set aside"], arguments = memory(size, o.batch, o.accumulate, options)
        print(f"{found['set aside']:6.1f} GiB and {arguments:.1f} GiB of state and batch")
    if o.record:
        write_result(o.record, found, note="GiB")


if __name__ == "__main__":
    main()
