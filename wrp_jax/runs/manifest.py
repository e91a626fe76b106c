"""Shape, dtype and SHA-256 of every leaf: what a file must hold again."""

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


def host_leaves(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by path. On a CPU they are views; what a view shows, JAX does not donate in place."""
    names = leaf_names(tree)
    if len(set(names)) != len(names):
        raise ValueError("two leaves have the same path")
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return dict(zip(names, leaves, strict=True))


def describe_leaf(leaf: np.ndarray) -> dict[str, Any]:
    """Shape, dtype and SHA-256 of an array, as JSON values."""
    digest = hashlib.sha256(np.ascontiguousarray(leaf).tobytes()).hexdigest()
    return {"shape": list(leaf.shape), "dtype": leaf.dtype.name, "sha256": digest}


def dtype_named(name: str) -> np.dtype:
    """The dtype of a name that ``describe_leaf`` wrote; JAX's own (bfloat16) too."""
    return np.dtype(jax.numpy.dtype(name))


def as_json(value: Any) -> Any:
    """The value as it is after a way through JSON: tuples are lists, keys are strings."""
    return json.loads(json.dumps(value))


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
