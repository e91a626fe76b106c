"""A training step of segmentation with the pretrained encoder, against the light network.

python -m benchmarks.encoder [--record=encoder]

Processor time of the loss and its gradients on eight crops of the default size, and of a frame of
360x480 that is segmented. Weights are as they are drawn, which time does not depend on.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import compare, report
from experiments.record import record_option, write_result
from wrp_jax.config import SegmentationConfig
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.training.segmentation.losses import segmentation_loss

NAMES = ("light", "efficient")
CLASSES, CROPS = 7, 8


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    height, width = SegmentationConfig().sampling.crop
    images = jnp.asarray(rng.uniform(size=(CROPS, height, width, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, CLASSES, (CROPS, height, width)), jnp.int32)
    frame = jnp.asarray(rng.uniform(size=(1, 360, 480, 3)), jnp.float32)
    steps: dict[str, Callable[[], Any]] = {}
    frames: dict[str, Callable[[], Any]] = {}
    for name in NAMES:
        network = build_segmentation(SegmentationConfig(name=name), CLASSES)
        variables = jax.jit(network.init)(jax.random.key(0), images[:1])

        def loss(params, variables, network=network):
            output, _ = network.apply({**variables, "params": params}, images, train=True)
            return segmentation_loss(output, labels)

        step = jax.jit(jax.value_and_grad(loss))
        segment = jax.jit(functools.partial(network.apply, train=False))
        steps[name] = functools.partial(step, variables["params"], variables)
        frames[name] = functools.partial(segment, variables, frame)
    found: dict[str, dict[str, float]] = {}
    for what, functions in (("training step", steps), ("frame", frames)):
        times = compare(functions, rounds=7, clock=time.process_time)
        report(f"{what}, processor time", times, "light", "efficient", 1)
        found[what] = {**times, "ratio": times["efficient"] / times["light"]}
    if options.record:
        write_result(options.record, found, note="ms of processor time; ratio: efficient / light")


if __name__ == "__main__":
    main()
