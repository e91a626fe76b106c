"""Shape, dtype and SHA-256 of every leaf, or of its parts: what a file must hold again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jax
import numpy as np


class DamagedError(Exception):
    """A file exists but does not hold what was written."""


def leaf_names(tree: Any) -> list[str]:
    """Paths of the leaves of a tree, ``a/b/c``, in the order of ``jax.tree.leaves``."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path."""
    names = leaf_names(tree)
    if len(set(names)) != len(names):
        raise ValueError("two leaves have the same path")
    return dict(zip(names, jax.tree.leaves(tree), strict=True))


def host_leaves(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by path. On a CPU they are views; what a view shows, JAX does not donate in place."""
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


def describe_leaf(leaf: np.ndarray) -> dict[str, Any]:
    """Shape, dtype and SHA-256 of an array, as JSON values."""
    return {"shape": list(leaf.shape), "dtype": leaf.dtype.name, "sha256": _sha256(leaf)}


def is_split(leaf: Any) -> bool:
    """Whether no device holds the whole array."""
    return isinstance(leaf, jax.Array) and not leaf.is_fully_replicated


def describe_own(leaf: Any) -> dict[str, Any]:
    """As `describe_leaf`; of an array that is split, ``parts`` in the place of ``sha256``.

    Returns:
      ``parts`` maps where a part lies (``0:48,16:32``) to its SHA-256. Of several processes each
      describes those that it writes; `merge` puts them together.
    """
    if not is_split(leaf):
        return describe_leaf(np.asarray(leaf))
    parts = {
        _bounds(shard.index, leaf.shape): _sha256(np.asarray(shard.data))
        for shard in leaf.addressable_shards
        if shard.replica_id == 0
    }
    return {"shape": list(leaf.shape), "dtype": leaf.dtype.name, "parts": parts}


def merge(described: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Leaves by name as several processes describe them → all parts of each of them."""
    merged = {name: dict(leaf) for name, leaf in described[0].items()}
    for name, leaf in merged.items():
        if "parts" in leaf:
            leaf["parts"] = {k: v for own in described for k, v in own[name]["parts"].items()}
    return merged


def is_what_was_written(leaf: np.ndarray, described: dict[str, Any]) -> bool:
    """Compares shape, dtype and every byte, part by part where it was written in parts."""
    if "parts" not in described:
        return describe_leaf(leaf) == described
    if [list(leaf.shape), leaf.dtype.name] != [described["shape"], described["dtype"]]:
        return False
    size = 0
    for where, sha256 in described["parts"].items():
        part = leaf[tuple(slice(*map(int, axis.split(":"))) for axis in where.split(","))]
        size += part.size
        if _sha256(part) != sha256:
            return False
    return size == leaf.size


def _bounds(index: tuple[slice, ...], shape: tuple[int, ...]) -> str:
    axes = (part.indices(size) for part, size in zip(index, shape, strict=True))
    return ",".join(f"{start}:{stop}" for start, stop, _ in axes)


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def dtype_named(name: str) -> np.dtype:
    """The dtype of a name that ``describe_leaf`` wrote; JAX's own (bfloat16) too."""
    return np.dtype(jax.numpy.dtype(name))


def as_json(value: Any) -> Any:
    """The value as it is after a way through JSON: tuples are lists, keys are strings."""
    return json.loads(json.dumps(value))


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
