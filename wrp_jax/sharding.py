"""Devices: one ``data`` axis, parameters on all of them. Models contain no sharding word.

Reference: google-research/kauldron ``utils/sharding_utils.py``, one place for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wrp_jax import processes
from wrp_jax.types import UserError


def make_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Mesh over all devices of all processes, axis ``data``.

    ``jax.make_mesh`` defaults to explicit axes, under which gathers with reshape and
    einsum-style confusion matrices raise.
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices
    )


def examples_at_once() -> int:
    """So many examples a device is given together by a network that fills a CPU with one."""
    return 1 if jax.default_backend() == "cpu" else 4


def mesh_for_batch(batch_size: int) -> Mesh:
    """Mesh of all devices, or of as many as divide a global batch, which is then said.

    Raises:
      UserError: several processes, and a batch that does not divide over their devices.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    if count < len(devices):
        advice = f"a batch_size that is a multiple of {len(devices)} uses all"
        if jax.process_count() > 1:
            raise UserError(f"batch_size {batch_size} does not divide over the devices: {advice}.")
        processes.say(f"{count} of {len(devices)} devices are used: {advice}")
    return make_mesh(devices[:count])


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Leading axis over ``data``."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same value on every device."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Copies a tree of arrays to every device, so that it may be donated.

    By way of the host, each leaf for itself: two leaves that share a buffer (weights and the
    start of their moving average) cannot be donated, nor can memory that the caller still has.
    Of several processes each gives the values to its own devices; they must be the same ones.
    """
    sharding = replicated(mesh)

    def copied(x: Any) -> jax.Array:
        x = np.array(x, copy=True)
        if sharding.is_fully_addressable:
            return jax.device_put(x, sharding, may_alias=False)
        # device_put would compare the values of all processes, leaf by leaf.
        parts = [jax.device_put(x, d, may_alias=False) for d in mesh.local_devices]
        return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)

    return jax.tree.map(copied, tree)


def global_batch(local_batch: Any, mesh: Mesh) -> Any:
    """Part of a batch that this process read → global arrays, split along their leading axis."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), local_batch
    )


_BATCH = 4


_BATCH_PIXELS = 1 << 22  # larger frames go through g_ψ in smaller batches, one by one at 4K


def frames_at_once(height: int, width: int) -> int:
    """Frames per device that are in memory together while cues are made."""
    return int(np.clip(_BATCH_PIXELS // (height * width), 1, _BATCH))
