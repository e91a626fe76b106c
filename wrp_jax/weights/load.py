"""Weights of a published network from a file of either kind."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from wrp_jax.types import UserError
from wrp_jax.weights import published
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import read_safetensors


def load_weights(path: str | os.PathLike[str], network: str) -> dict[str, Any]:
    """Reads the variables of a network.

    Args:
      path: what ``convert`` wrote (``.safetensors``), or a published PyTorch checkpoint.
      network: a key of ``published.NETWORKS``.

    Returns:
      Nested dictionary of float32 arrays: ``params`` and, where there are any, ``batch_stats``.

    Raises:
      UserError: the file is damaged or holds another network's weights.
    """
    if pathlib.Path(path).suffix == ".safetensors":
        arrays, metadata = read_safetensors(path)
        shapes = published.template(network)
        flat = {tuple(name.split(".")): array for name, array in arrays.items()}
        wrong = [p for p in shapes if p not in flat or flat[p].shape != shapes[p].shape]
        if wrong or len(flat) != len(shapes):
            held = metadata.get("network", "another network")
            raise UserError(
                f"{path} holds weights of {held}, which do not fit {network}; choose that "
                "network or convert its own weights."
            )
        return published.nest(flat)
    flat, report = published.fit_state_dict(read_pth(path), network)
    if not report.complete:
        names = (*report.missing, *report.misshaped, *report.unused)
        raise UserError(
            f"{path} does not hold the weights of {network} ({len(report.missing)} names missing, "
            f"{len(report.misshaped)} mis-shaped, {len(report.unused)} unknown, such as "
            f"{names[0]!r}); python -m wrp_jax.weights.convert lists them all."
        )
    return published.nest(flat)
