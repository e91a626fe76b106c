"""Weights of a published network from a file of either kind."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from wrp_jax.types import UserError
from wrp_jax.weights import published
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import DIGEST, read_safetensors

FORMAT = "wrp_jax"
"""What ``convert`` notes in the metadata of files with our names and axes."""


class WeightFile(NamedTuple):
    """A file of either kind.

    Attributes:
      path: of the file.
      arrays: by name.
      metadata: what the file says of itself.
    """

    path: str | os.PathLike[str]
    arrays: dict[str, np.ndarray]
    metadata: Mapping[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether ``convert`` wrote it; else it has the published names."""
        return self.metadata.get("format") == FORMAT


def load_weights(path: str | os.PathLike[str], network: str) -> dict[str, Any]:
    """Reads the variables of a network.

    Args:
      path: what ``convert`` wrote (``.safetensors``), or a published checkpoint: PyTorch's, or
        safetensors with the published names.
      network: a key of ``published.NETWORKS``; its sizes are the file's.

    Returns:
      Nested dictionary of float32 arrays: ``params`` and, where there are any, ``batch_stats``.

    Raises:
      UserError: the file is damaged or holds another network's weights.
    """
    return variables_of(read_weights(path), network)


def read_weights(path: str | os.PathLike[str]) -> WeightFile:
    """Reads a file without asking what network it is of.

    Raises:
      UserError: the file is damaged or of neither kind, or ours and without its digest.
    """
    if pathlib.Path(path).suffix != ".safetensors":
        return WeightFile(path, read_pth(path), {})
    file = WeightFile(path, *read_safetensors(path))
    # Else a bit that flips in the digest's name would turn the check off.
    if file.is_ours and DIGEST not in file.metadata:
        raise UserError(
            f"{path} has no digest, which every file of ours carries: it is damaged or of an "
            "earlier version; convert or train it again."
        )
    return file


def variables_of(file: WeightFile, network: str) -> dict[str, Any]:
    """What ``load_weights`` returns, from a file that has been read."""
    path, arrays, metadata = file
    if file.is_ours:
        return published.nest(_ours(path, arrays, metadata, network))
    flat, report = published.fit_state_dict(arrays, network)
    if not report.complete:
        names = (*report.missing, *report.misshaped, *report.unused)
        raise UserError(
            f"{path} does not hold the weights of {network} ({len(report.missing)} names missing, "
            f"{len(report.misshaped)} mis-shaped, {len(report.unused)} unknown, such as "
            f"{names[0]!r}); wrp convert-weights lists them all."
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
    flat = {tuple(name.split(".")): array for name, array in arrays.items()}
    by_name = published.by_published_name(flat, network)
    shapes = published.template(network, **published.sizes_held(by_name, network))
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
