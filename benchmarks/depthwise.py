"""Depthwise convolutions against XLA's own and ``torch.nn``'s: ``python -m benchmarks.depthwise``.

Layers of EfficientNet-Lite0 at eight crops of 224x288, forward pass and both gradients, processor
time: start it with ``taskset -c 0``. PyTorch gets its faster layout, channels last.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.timing import compare, report, threads
from experiments.record import record_option, write_result
from wrp_jax.ops import depthwise

BATCH = 8
LAYERS = {  # channels, rows, columns, side of the kernel, stride
    "32 channels, 112x144, 3x3": (32, 112, 144, 3, 1),
    "96 channels, 112x144, 3x3, stride 2": (96, 112, 144, 3, 2),
    "144 channels, 56x72, 5x5, stride 2": (144, 56, 72, 5, 2),
    "672 channels, 14x18, 5x5": (672, 14, 18, 5, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    record_option(parser)
    options, found = parser.parse_args(), {}
    torch.set_num_threads(threads())
    for name, layer in LAYERS.items():
        functions = {
            "wrp_jax": ours(depthwise.depthwise_conv, *layer),
            "xla": ours(lambda x, kernel, *, stride: depthwise._plain(x, kernel, stride), *layer),
            "torch": theirs(*layer),
        }
        times = compare(functions, options.rounds, time.process_time)
        report(name, times, "wrp_jax", "torch", 1)
        found[name.replace(",", "")] = times
    if options.record:
        write_result(options.record, found, note="milliseconds of processor time, by layer")


def ours(convolve, channels, height, width, k, stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(BATCH, height, width, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(k, k, 1, channels)), jnp.float32)

    def loss(x, kernel):
        return (convolve(x, kernel, stride=stride) ** 2).sum()

    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    return lambda: gradient(x, kernel)


def theirs(channels, height, width, k, stride):
    layer = torch.nn.Conv2d(channels, channels, k, stride, k // 2, groups=channels, bias=False)
    x = torch.randn(BATCH, channels, height, width).to(memory_format=torch.channels_last)
    x.requires_grad_(True)

    def gradient() -> None:
        layer.zero_grad()
        x.grad = None
        (layer(x) ** 2).sum().backward()

    return gradient


if __name__ == "__main__":
    main()
