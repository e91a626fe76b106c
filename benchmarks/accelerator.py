"""Timing on an accelerator, and what it can do at most, for `raft_gpu` and `segmentation_gpu`.

Work is queued and waited for once, so that launching it does not count where it is hidden, and
rates are set against a matrix product of the same type that is measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.models.network import ARITHMETIC


def seconds(function: Callable[[], Any], wait: Callable[[Any], Any], budget: float = 1.5) -> float:
    """Per call: the median of five queues, which together take about ``budget`` seconds."""
    for _ in range(3):
        wait(function())
    start = time.perf_counter()
    wait(function())
    once = time.perf_counter() - start
    calls = max(1, min(100, int(budget / 5 / once)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            result = function()
        wait(result)
        times.append((time.perf_counter() - start) / calls)
    return float(np.median(times))


def product_rate(mode: str, side: int = 8192) -> float:
    """Operations per second of a large matrix product of random numbers."""
    dtype, precision = ARITHMETIC[mode]
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (side, side), jnp.float32).astype(dtype) for key in keys)
    product = jax.jit(lambda a, b: jnp.dot(a, b, precision=precision))
    return 2 * side**3 / seconds(lambda: product(a, b), jax.block_until_ready)


def copy_rate(mebibytes: int = 2048) -> float:
    """Bytes per second, read and written, of adding one to a large array."""
    x = jnp.zeros((mebibytes, 2**18), jnp.float32)
    add = jax.jit(lambda x: x + 1)
    return 2 * x.nbytes / seconds(lambda: add(x), jax.block_until_ready)


def operations(function: Callable[..., Any], *arguments: Any) -> float:
    """Of the program as it was traced, before a compiler rewrites it; loops must be unrolled."""
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    with jax.default_device(jax.devices("cpu")[0]):  # plug-ins of accelerators do not count
        analysis = jax.jit(function).lower(*shapes).cost_analysis()
    assert isinstance(analysis, dict)
    return float(analysis["flops"])


def compiled(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """The program and the seconds that compiling it took, traced and all."""
    start = time.perf_counter()
    program = jax.jit(function, **options).lower(*arguments).compile()
    return program, time.perf_counter() - start
