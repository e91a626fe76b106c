"""Converts published PyTorch weights to safetensors.

Needs no PyTorch and executes nothing from the file; writes only where all names fit.
"""

from __future__ import annotations

from wrp_jax.weights import published
from wrp_jax.weights.load import FORMAT
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import write_safetensors


def convert_weights(source: str, target: str, network: str) -> published.Report:
    """Reads ``source`` and, if it fits the network in every name, writes ``target``.

    Args:
      source: the published file, ``.pth`` or ``.pth.tar``.
      target: the ``.safetensors`` file to write.
      network: a key of ``published.NETWORKS``.

    Returns:
      How the names fit; nothing was written unless ``complete``.

    Raises:
      UserError: a file cannot be read or written.
    """
    found, report = published.fit_state_dict(read_pth(source), network)
    if report.complete:
        arrays = {".".join(path): array for path, array in sorted(found.items())}
        write_safetensors(target, arrays, {"network": network, "format": FORMAT})
    return report
