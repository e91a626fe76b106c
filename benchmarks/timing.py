"""Times functions against each other in one run: they take turns, the median counts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def compare(
    functions: dict[str, Callable[[], Any]],
    rounds: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds per call, median over rounds in which every function has its turn.

    ``clock=time.process_time`` counts the processor's time: what others run at the same time
    then hardly matters, but neither does it count how well the work is spread over cores.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        jax.block_until_ready(function())
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            jax.block_until_ready(function())
            times[name].append(1e3 * (clock() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def threads() -> int:
    """Cores this process may use: PyTorch is given as many threads as XLA takes."""
    return len(os.sched_getaffinity(0))


def report(title: str, times: dict[str, float], ours: str, theirs: str, target: float) -> None:
    """Prints one comparison and its ratio."""
    ratio = times[theirs] / times[ours]
    print(title)
    for name, milliseconds in times.items():
        print(f"  {name:42s} {milliseconds:9.2f} ms")
    print(f"  {theirs} / {ours}: {ratio:.1f}x (target: at least {target:g}x)\n")
