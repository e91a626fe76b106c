"""HRNet-W48's residual blocks against ``torch.nn``'s: ``python -m benchmarks.residual_block``.

One block of each branch at the sizes of a 512x1024 image, forward and backward pass in training
mode, processor time: start it with ``taskset -c 0``.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.hrnet_torch import Basic
from benchmarks.timing import compare, report, threads
from experiments.record import record_option, write_result
from wrp_jax.models.layers import BasicBlock


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    options, found = parser.parse_args(), {}
    torch.set_num_threads(threads())
    rng = np.random.default_rng(0)
    for k in range(4):
        height, width, channels = 128 >> k, 256 >> k, 48 << k
        image = rng.normal(size=(1, height, width, channels)).astype(np.float32)
        block, x = BasicBlock(channels), jnp.asarray(image)
        variables = jax.jit(lambda x, block=block: block.init(jax.random.key(0), x, train=True))(x)

        def loss(params, x, block=block, variables=variables):
            given = {**variables, "params": params}
            y, stats = block.apply(given, x, train=True, mutable=["batch_stats"])
            return (y**2).sum(), stats

        gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
        theirs = Basic(channels).train()
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).requires_grad_(True)

        def torch_gradient(theirs=theirs, pixels=pixels) -> None:
            theirs.zero_grad()
            pixels.grad = None
            (theirs(pixels) ** 2).sum().backward()

        functions = {
            "wrp_jax": lambda gradient=gradient, p=variables["params"], x=x: gradient(p, x),
            "torch": torch_gradient,
        }
        times = compare(functions, 7, time.process_time)
        report(f"{channels} channels, {height}x{width}", times, "wrp_jax", "torch", 1)
        found[channels] = times
    if options.record:
        write_result(options.record, found, note="milliseconds of processor time, by channels")


if __name__ == "__main__":
    main()
