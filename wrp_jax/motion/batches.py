"""Runs a network over frame pairs: one batch size, one program per frame size, all devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wrp_jax import interrupts
from wrp_jax.sharding import batch_sharding, make_mesh, replicate


def over_devices(
    program: Callable[..., Any], variables: Any, *, per_device: int
) -> Callable[..., np.ndarray]:
    """Makes a program of fixed batch size one of any number of examples, on the host.

    The last batch is filled up by repeating its last example, so that a frame size is compiled
    once; every local device gets ``per_device`` examples of each batch.

    Args:
      program: ``program(variables, *arrays) -> array``, pure; all arrays lead with the batch.
      variables: of the network; copied to the devices once.
      per_device: examples per device and call.

    Returns:
      ``run(*arrays) -> array``, host arrays with any leading size, zero too.
    """
    mesh = make_mesh(jax.local_devices())
    sharding = batch_sharding(mesh)
    placed = replicate(variables, mesh)
    compiled = jax.jit(program)
    size = per_device * mesh.size

    def run(*arrays: np.ndarray) -> np.ndarray:
        if not len(arrays[0]):  # what one full batch would give, less its examples
            full = (jax.ShapeDtypeStruct((size, *a.shape[1:]), a.dtype) for a in arrays)
            result = jax.eval_shape(program, variables, *full)
            return np.zeros((0, *result.shape[1:]), result.dtype)
        parts = []
        for start in range(0, len(arrays[0]), size):
            interrupts.check()
            batch = [array[start : start + size] for array in arrays]
            count = len(batch[0])
            if count < size:
                batch = [np.concatenate([a, np.repeat(a[-1:], size - count, 0)]) for a in batch]
            result = compiled(placed, *(jax.device_put(a, sharding) for a in batch))
            parts.append(np.asarray(result)[:count])
        return np.concatenate(parts)

    return run
