"""Weights in the safetensors container: names and raw numbers, nothing to execute.

The ``safetensors`` library reads and checks it; here its errors get a sentence.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wrp_jax.files.atomic import write_atomically
from wrp_jax.weights.inert_pickle import CheckpointFormatError


def write_safetensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes arrays by name; the file appears whole or not at all."""
    # The library writes the memory of a strided array as it lies there, in the wrong order.
    data = save({name: np.array(a, order="C") for name, a in arrays.items()}, dict(metadata))
    write_atomically(pathlib.Path(path), data)


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a safetensors file.

    Returns:
      Arrays by name, and the metadata.

    Raises:
      CheckpointFormatError: damaged, not of this format, or of a type that numpy lacks.
    """
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except OSError as error:
        raise CheckpointFormatError(f"{path} cannot be opened ({error}); check the path.") from None
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointFormatError(
            f"{path} cannot be read as safetensors ({reason}); convert or download it again."
        ) from None
