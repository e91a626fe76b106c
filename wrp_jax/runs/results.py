"""The weights of a finished stage: ``workdir/<stage>.npz``."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wrp_jax import __version__
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import NpzFile
from wrp_jax.runs.manifest import (
    DamagedError,
    as_json,
    describe_leaf,
    dtype_named,
    host_leaves,
    json_digest,
)
from wrp_jax.types import UserError

MOTION, SEGMENTATION, REFINER, STUDENT = "motion", "segmentation", "refiner", "student"
"""The stages, by the names of their results."""

_METADATA = "__metadata__"


def save_result(
    workdir: str | os.PathLike, stage: str, variables: Any, metadata: dict[str, Any]
) -> None:
    """Writes the weights of a finished stage to ``workdir/<stage>.npz``, complete or not at all.

    Process 0 alone writes.

    Args:
      workdir: of the run.
      stage: e.g. ``segmentation``.
      variables: nested dict of arrays.
      metadata: JSON-serialisable; given back by ``load_result``.
    """
    leaves = host_leaves(variables)
    if jax.process_index() != 0:
        return
    header = {
        "metadata": as_json(metadata),
        "version": __version__,
        "leaves": {name: describe_leaf(leaf) for name, leaf in leaves.items()},
    }
    header["digest"] = json_digest(header)
    # Raw bytes: .npz has no bfloat16, and the header says shape and dtype anyway.
    arrays: dict[str, Any] = {
        name: np.frombuffer(leaf.tobytes(), np.uint8) for name, leaf in leaves.items()
    }
    arrays[_METADATA] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(result_path(workdir, stage), buffer.getvalue())


def load_result(workdir: str | os.PathLike, stage: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads ``(variables, metadata)`` of a finished stage, host numpy arrays.

    Raises:
      UserError: the stage is not finished, or the file is damaged.
    """
    path = result_path(workdir, stage)
    if not path.exists():
        raise UserError(
            f"{path} does not exist: train the stage '{stage}' first (train.py with the same "
            f"--workdir)."
        )
    try:
        # Nothing in it is packed, so that its arrays have no more bytes than the file.
        with NpzFile(path, limit=path.stat().st_size) as file:
            arrays = {name: file.read(name) for name in file.names}
        header = json.loads(arrays.pop(_METADATA).tobytes())
        digest = header.pop("digest")
        if digest != json_digest(header) or set(arrays) != set(header["leaves"]):
            raise DamagedError
        variables: dict[str, Any] = {}
        for name, leaf in header["leaves"].items():
            value = np.frombuffer(arrays[name].tobytes(), dtype_named(leaf["dtype"]))
            value = value.reshape(leaf["shape"])
            if describe_leaf(value) != leaf:
                raise DamagedError
            *parents, last = name.split("/")
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    except Exception as error:  # A damaged zip makes zipfile and numpy raise nearly anything.
        raise UserError(
            f"{path} is damaged: delete it and run train.py again with the same --workdir."
        ) from error
    return variables, header["metadata"]


def segmentation_stage(workdir: str | os.PathLike) -> str:
    """The stage whose network a workdir segments with: the student, where one was trained."""
    return STUDENT if result_path(workdir, STUDENT).exists() else SEGMENTATION


def result_path(workdir: str | os.PathLike, stage: str) -> Path:
    """Where the weights of a finished stage stand."""
    return Path(workdir) / f"{stage}.npz"
