"""Devices: batches over all of them; what else lies where. Models contain no sharding word.

Reference: google-research/kauldron ``utils/sharding_utils.py`` and google-research/big_vision
``sharding.py``: one place for all of it, rules by path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wrp_jax import processes
from wrp_jax.types import UserError

GROUP = 16
"""A state is split over so many neighbouring devices at most; of more, each group holds all of it.
Few axes of a network divide by more, and beyond that there is little left to save."""


def make_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Mesh over all devices of all processes: ``part`` in groups of neighbours, and ``group``.

    The axes are automatic: under explicit ones, gathers with reshape and einsum-style confusion
    matrices raise.
    """
    devices = jax.devices() if devices is None else devices
    automatic = jax.sharding.AxisType.Auto
    # In a row first: a torus of TPUs need not have two axes of these sizes.
    row = jax.make_mesh((len(devices),), ("all",), axis_types=(automatic,), devices=devices)
    parts = max(n for n in range(1, GROUP + 1) if len(devices) % n == 0)
    return Mesh(row.devices.reshape(-1, parts), ("group", "part"), axis_types=(automatic,) * 2)


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
    """Leading axis over all devices."""
    return NamedSharding(mesh, PartitionSpec(("group", "part")))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same value on every device."""
    return NamedSharding(mesh, PartitionSpec())


Rule = Callable[[tuple[int, ...], int], PartitionSpec]
"""``rule(shape, parts)``: along which of its axes an array is split into so many parts."""

SMALL = 1 << 14
"""Arrays of fewer elements stay whole: gathering them costs more than they take."""


def whole(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    """The same value on every device."""
    del shape, parts
    return PartitionSpec()


def largest_axis(shape: tuple[int, ...], parts: int, *, small: int = SMALL) -> PartitionSpec:
    """The largest axis that divides into the parts is split; of equal ones the last.

    Args:
      shape: of the array.
      parts: how many.
      small: arrays of fewer elements stay whole.
    """
    fitting = [(size, axis) for axis, size in enumerate(shape) if size % parts == 0]
    if parts == 1 or not fitting or np.prod(shape) < small:
        return PartitionSpec()
    return PartitionSpec(*[None] * max(fitting)[1], "part")


RULES: dict[str, tuple[tuple[str, Rule], ...]] = {
    "replicated": ((r".*", whole),),
    "fsdp": (
        (r"(ema/)?batch_stats/.*", whole),  # every layer reads them, and they are small
        (r".*", largest_axis),
    ),
}
"""``config.sharding`` → regular expression of paths in the train state (``params/conv/kernel``,
``opt_state/0/trace/…``) and rule. The first expression that fits the whole path decides."""


def state_shardings(state: Any, mesh: Mesh, rules: str) -> Any:
    """Where each array of a train state lies.

    Args:
      state: a pytree of arrays or of shapes.
      mesh: of `make_mesh`.
      rules: a key of `RULES`.

    Returns:
      A ``NamedSharding`` in the place of every leaf.
    """

    def sharding(path: Any, leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        rule = next(rule for pattern, rule in RULES[rules] if re.fullmatch(pattern, name))
        return NamedSharding(mesh, rule(np.shape(leaf), mesh.shape["part"]))

    return jax.tree_util.tree_map_with_path(sharding, state)


def place(tree: Any, shardings: Any) -> Any:
    """Copies a tree of arrays to the devices, so that it may be donated.

    By way of the host, each leaf for itself: two leaves that share a buffer (weights and the
    start of their moving average) cannot be donated, nor can memory that the caller still has.
    Of several processes each gives the values to its own devices; they must be the same ones.

    Args:
      tree: of arrays, whole in this process.
      shardings: a ``NamedSharding`` for each of them, or one for all.
    """

    def copied(x: Any, sharding: NamedSharding) -> jax.Array:
        x = np.array(x, copy=True)
        if sharding.is_fully_addressable:
            return jax.device_put(x, sharding, may_alias=False)
        # device_put would compare the values of all processes, leaf by leaf.
        places = sharding.addressable_devices_indices_map(x.shape)
        parts = [jax.device_put(x[part], d, may_alias=False) for d, part in places.items()]
        return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)

    if isinstance(shardings, NamedSharding):
        return jax.tree.map(lambda x: copied(x, shardings), tree)
    return jax.tree.map(copied, tree, shardings)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Copies a tree of arrays to every device; see `place`."""
    return place(tree, replicated(mesh))


def own_parts(array: Any) -> list[np.ndarray]:
    """The parts of an array that this process has, each once."""
    if not isinstance(array, jax.Array) or array.is_fully_replicated:
        return [np.asarray(array)]
    return [np.asarray(part.data) for part in array.addressable_shards]


def gather(tree: Any) -> Any:
    """The whole arrays on the host, in every process; all processes must call it.

    One array after the other, so that a device holds no more than one of them whole.
    """

    def host(x: Any) -> np.ndarray:
        if isinstance(x, jax.Array) and not x.is_fully_addressable and not x.is_fully_replicated:
            x = jax.jit(lambda x: x, out_shardings=replicated(x.sharding.mesh))(x)  # type: ignore
        return np.asarray(x)

    return jax.tree.map(host, tree)


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
