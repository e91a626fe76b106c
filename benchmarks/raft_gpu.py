"""RAFT large on a GPU against torchvision, eager and compiled: ``python -m benchmarks.raft_gpu``.

One pair, 12 iterations, the reproducible weights of tests/golden; float32 and bfloat16, and TF32,
which both take for products of float32 numbers where less precise ones are allowed. ``--size 440
1024`` and ``--mode bfloat16`` for one case, ``--no-compile`` without ``torch.compile`` (minutes).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory as well

import jax
import jax.numpy as jnp
import torch

from benchmarks.accelerator import compiled, operations, product_rate, seconds
from benchmarks.raft import ITERATIONS, SIZES, pair, torch_network, variables
from experiments.record import record_option, write_result
from wrp_jax.models.motion.raft import build_raft
from wrp_jax.models.network import ARITHMETIC


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, action="append")
    parser.add_argument("--mode", choices=ARITHMETIC, action="append")
    parser.add_argument("--no-compile", action="store_true")
    record_option(parser)
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    sizes = [tuple(size) for size in options.size or SIZES]
    place = "cuda" if torch.cuda.is_available() else "cpu"
    side = 8192 if place == "cuda" else 512
    name, theirs, fixture = torch_network(place)
    weights = variables(fixture)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, torch {torch.__version__}")

    for height, width in sizes:
        frames = pair(height, width)
        first, second = (jnp.asarray(x) for x in frames)
        theirs_in = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).to(place) for x in frames]
        # A loop counts once in an unrolled program's stead.
        unrolled = build_raft("raft_large", iterations=ITERATIONS, unroll=True)
        count = operations(unrolled.apply, weights, first, second)
        print(f"\nRAFT large, {ITERATIONS} iterations, {height}x{width}: {count / 1e9:.0f} GFLOP")
        exact_network = build_raft("raft_large", iterations=ITERATIONS)
        exact = jax.jit(exact_network.apply)(weights, first, second).flow
        for mode in options.mode or ARITHMETIC:
            network = build_raft("raft_large", iterations=ITERATIONS, **ARITHMETIC[mode]._asdict())
            program, made = compiled(
                lambda w, a, b, n=network: n.apply(w, a, b).flow, weights, first, second
            )
            ours = seconds(
                functools.partial(program, weights, first, second), jax.block_until_ready
            )
            flow = program(weights, first, second)
            error = float(jnp.linalg.norm(flow - exact, axis=-1).mean())
            share = count / ours / product_rate(mode, side)
            print(
                f"  {mode:9s} wrp_jax {1e3 * ours:8.2f} ms, {share:.0%} of a large product's rate, "
                f"{error:.3f} px from float32 on average; compiled in {made:.1f} s",
                flush=True,
            )
            with torch_mode(mode, place), torch.inference_mode():
                row = found[f"{height}x{width} {mode}"] = {
                    "ours": 1e3 * ours, "share": 100 * share, "compiling": made, "error": error,
                }  # fmt: skip
                row["eager"] = time_torch(f"{name}, eager", theirs, theirs_in, place, ours)
                if not options.no_compile and mode != "tf32":
                    start = time.perf_counter()
                    faster = torch.compile(theirs)
                    faster(*theirs_in)
                    made = time.perf_counter() - start
                    title = f"{name}, torch.compile ({made:.0f} s)"
                    row["compile"] = time_torch(title, faster, theirs_in, place, ours)
    if options.record:
        write_result(options.record, found, note="milliseconds; share in %; compiling in s")


def time_torch(title: str, network, frames, place: str, ours: float) -> float:
    """Milliseconds of a call."""

    def wait(_):
        if place == "cuda":
            torch.cuda.synchronize()

    theirs = seconds(lambda: network(*frames), wait)
    print(f"            {title}: {1e3 * theirs:8.2f} ms, {theirs / ours:.2f}x", flush=True)
    return 1e3 * theirs


def torch_mode(mode: str, place: str) -> contextlib.AbstractContextManager[object]:
    """PyTorch's way of the same arithmetic."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode == "tf32"
    if mode == "bfloat16":
        return torch.autocast(place, dtype=torch.bfloat16)
    return contextlib.nullcontext()


if __name__ == "__main__":
    main()
