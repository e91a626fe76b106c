"""Converts published PyTorch weights: ``python -m wrp_jax.cli.convert_weights IN OUT``.

Needs no PyTorch and executes nothing from the file. Prints how the names fit and writes only
where all of them do. Exit code 0: converted; 2: nothing written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wrp_jax.types import UserError
from wrp_jax.weights import published
from wrp_jax.weights.load import FORMAT
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import write_safetensors


def convert(source: str, target: str, network: str) -> published.Report:
    """Reads ``source`` and, if it fits the network in every name, writes ``target``.

    Raises:
      UserError: a file cannot be read or written.
    """
    found, report = published.fit_state_dict(read_pth(source), network)
    if report.complete:
        arrays = {".".join(path): array for path, array in sorted(found.items())}
        try:
            write_safetensors(target, arrays, {"network": network, "format": FORMAT})
        except OSError as error:
            raise UserError(
                f"{target} cannot be written ({error.strerror}); choose another path."
            ) from None
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m wrp_jax.cli.convert_weights",
        description="Convert published PyTorch weights to safetensors.",
    )
    parser.add_argument("source", help="the downloaded .pth or .pth.tar file")
    parser.add_argument("target", help="the .safetensors file to write")
    parser.add_argument("--network", required=True, choices=sorted(published.NETWORKS))
    options = parser.parse_args(arguments)
    try:
        report = convert(options.source, options.target, options.network)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    if not report.complete:
        print(f"{options.source} is not {options.network}: nothing written", file=sys.stderr)
        return 2
    print(f"wrote {options.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
