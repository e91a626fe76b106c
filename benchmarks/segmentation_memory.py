"""Memory of a training step of hrnet_ocr_mscale: ``python -m benchmarks.segmentation_memory``.

What XLA sets aside for crops of 1024x2048, 19 classes, two scales, cross entropy on the main and
the auxiliary scores, SGD with momentum: compiled, not run. The compiler is that of this machine;
one for accelerators chooses other layouts and scratch memory.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import optax

from benchmarks.segmentation import CLASSES
from wrp_jax.config import SegmentationConfig
from wrp_jax.models.segmentation import build_segmentation
from wrp_jax.training.segmentation.crops import CropBatch
from wrp_jax.training.segmentation.recipe import make_loss
from wrp_jax.training.segmentation.stage import make_train_step
from wrp_jax.training.state import create_train_state

GIB = 2**30


def memory(size: tuple[int, int], batch: int, accumulate: int, remat: bool, dtype: str) -> str:
    options = SegmentationConfig(name="hrnet_ocr_mscale", remat=remat, dtype=dtype)
    network = build_segmentation(options, CLASSES)
    optimizer = optax.sgd(1e-2, momentum=0.9)

    def initial(key):
        variables = network.init(key, jnp.zeros((1, 64, 64, 3)))
        return create_train_state(variables, optimizer, ema=False)

    state = jax.eval_shape(initial, jax.random.key(0))
    images = CropBatch(
        jax.ShapeDtypeStruct((batch, *size, 3), jnp.uint8),
        jax.ShapeDtypeStruct((batch, *size), jnp.uint8),
    )
    loss = make_loss(options, jnp.ones(CLASSES))
    step = make_train_step(network, optimizer, loss, ema_decay=0.0, accumulate=accumulate)
    key = jax.eval_shape(lambda: jax.random.key(0))
    program = jax.jit(step, donate_argnums=0).lower(state, images, key)
    # Machine code is not what is looked at: the least work on it.
    analysis = program.compile({"xla_backend_optimization_level": 0}).memory_analysis()
    temporary, arguments = analysis.temp_size_in_bytes, analysis.argument_size_in_bytes
    return f"{temporary / GIB:6.1f} GiB and {arguments / GIB:.1f} GiB of state and batch"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--dtype", default="float32")
    o = parser.parse_args()
    print(vars(o), memory(tuple(o.size), o.batch, o.accumulate, o.remat, o.dtype), flush=True)


if __name__ == "__main__":
    main()
