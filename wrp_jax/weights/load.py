"""Weights of a published network from a file of either kind."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from wrp_jax.types import UserError
from wrp_jax.weights import published
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import read_safetensors

FORMAT = "wrp_jax"
"""What ``convert`` notes in the metadata of files with our names and axes."""


def load_weights(path: str | os.PathLike[str], network: str) -> dict[str, Any]:
    """Reads the variables of a network.

    Args:
      path: what ``convert`` wrote (``.safetensors``), or a published checkpoint: PyTorch's, or
        safetensors with the published names.
      network: a key of ``published.NETWORKS``.

    Returns:
      Nested dictionary of float32 arrays: ``params`` and, where there are any, ``batch_stats``.

    Raises:
      UserError: the file is damaged or holds another network's weights.
    """
    if pathlib.Path(path).suffix == ".safetensors":
        arrays, metadata = read_safetensors(path)
        if metadata.get("format") == FORMAT:
            return published.nest(_ours(path, arrays, metadata, network))
    else:
        arrays = read_pth(path)
    flat, report = published.fit_state_dict(arrays, network)
    if not report.complete:
        names = (*report.missing, *report.misshaped, *report.unused)
        raise UserError(
            f"{path} does not hold the weights of {network} ({len(report.missing)} names missing, "
            f"{len(report.misshaped)} mis-shaped, {len(report.unused)} unknown, such as "
            f"{names[0]!r}); python -m wrp_jax.weights.convert lists them all."
        )
    _check_finite(path, flat)
    return published.nest(flat)


def _ours(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    network: str,
) -> dict[tuple[str, ...], np.ndarray]:
    """Arrays of a converted file by path, if they are the network's."""
    shapes = published.template(network)
    flat = {tuple(name.split(".")): array for name, array in arrays.items()}
    wrong = [p for p in shapes if p not in flat or flat[p].shape != shapes[p].shape]
    if wrong or len(flat) != len(shapes):
        held = metadata.get("network", "another network")
        raise UserError(
            f"{path} holds weights of {held}, which do not fit {network}; choose that "
            "network or convert its own weights."
        )
    _check_finite(path, flat)
    return flat


def _check_finite(path: str | os.PathLike[str], flat: Mapping[tuple[str, ...], np.ndarray]) -> None:
    for name, array in flat.items():
        if not np.isfinite(array).all():
            raise UserError(
                f"{path} holds NaN or infinity in {'.'.join(name)}: download or train it again."
            )
