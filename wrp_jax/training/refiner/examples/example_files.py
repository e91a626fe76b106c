"""Examples are kept as they are made: a run that was stopped goes on with the next clip.

Making them is the longest stage of a run. Each clip leaves one file in ``workdir/examples``, which
goes when the stage is finished.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from wrp_jax import __version__
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import NpzFile
from wrp_jax.files.strict_json import parse_json
from wrp_jax.types import UserError

Example = TypeVar("Example")

_HEADER = "header"
_MAX_BYTES = 2**32  # of one clip's examples, unpacked; they take a hundredth of that


class ExampleFiles:
    """The examples of a run, clip by clip, in files."""

    def __init__(self, folder: Path | str, made_from: Any):
        """Writes nothing yet.

        Args:
          folder: for the files; it is this object's alone.
          made_from: everything that the examples depend on, JSON values and arrays; files of
            another value count as none.
        """
        self._folder = Path(folder)
        self._digest = _digest([made_from, __version__])

    def load(
        self, number: int, kind: type[Example], rng: np.random.Generator
    ) -> list[Example] | None:
        """Reads the examples of a clip, and leaves ``rng`` as making them has left it.

        Args:
          number: of the clip.
          kind: of the examples: a ``NamedTuple`` of arrays and of such tuples.
          rng: the source of every random choice.

        Returns:
          None, and ``rng`` is as it was, where there is no such file, or it is damaged or made
          from something else.
        """
        try:
            with NpzFile(self._path(number), limit=_MAX_BYTES) as file:
                arrays = {name: file.read(name) for name in file.names}  # checks every CRC
            header = parse_json(arrays.pop(_HEADER).tobytes())
            if header["made_from"] != self._digest:
                return None
            examples = [_build(kind, arrays, f"{i}/") for i in range(header["examples"])]
            rng.bit_generator.state = header["random_state"]
        except (UserError, ValueError, KeyError, TypeError):
            return None
        return examples

    def add(self, number: int, examples: Sequence[Any], rng: np.random.Generator) -> None:
        """Writes the examples of a clip, and the state of ``rng`` after it.

        Process 0 alone writes.

        Raises:
          UserError, MachineError: the file cannot be written.
        """
        if jax.process_index() != 0:
            return
        header = {
            "made_from": self._digest,
            "examples": len(examples),
            "random_state": rng.bit_generator.state,
        }
        arrays = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for i, example in enumerate(examples):
            arrays |= _flat(example, f"{i}/")
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(self._path(number), buffer.getvalue())

    def remove(self) -> None:
        """Takes the files away: nothing will be trained on them any more."""
        if jax.process_index() == 0 and not self._folder.is_symlink():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"


def examples_folder(workdir: str | os.PathLike, stage: str) -> Path:
    """Where a stage keeps its examples while it runs."""
    return Path(workdir) / "examples" / stage


def _flat(example: Any, prefix: str) -> dict[str, np.ndarray]:
    """The arrays of a ``NamedTuple`` by their paths in it."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in zip(example._fields, example, strict=True):
        if hasattr(value, "_fields"):
            arrays |= _flat(value, f"{prefix}{name}/")
        else:
            arrays[prefix + name] = np.asarray(value)
    return arrays


def _build(kind: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    """The inverse of ``_flat``."""
    hints = typing.get_type_hints(kind)
    return kind(
        **{
            name: _build(hints[name], arrays, f"{prefix}{name}/")
            if hasattr(hints[name], "_fields")
            else arrays[prefix + name]
            for name in kind._fields
        }
    )


def _digest(value: Any) -> str:
    """SHA-256 of JSON values and arrays."""
    leaves, structure = jax.tree.flatten(value)
    sha = hashlib.sha256(str(structure).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        sha.update(json.dumps([array.dtype.str, array.shape]).encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
