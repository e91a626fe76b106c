"""Converts published PyTorch weights to safetensors.

  wrp convert-weights --network=raft_large --weights=IN.pth --output=OUT.safetensors

Needs no PyTorch and executes nothing from the file. Prints how the names fit and writes only where
all of them do.
"""

from __future__ import annotations

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.types import UserError


def define_flags() -> None:
    """Defines the flags."""
    from wrp_jax.weights.published import NETWORKS

    flags.DEFINE_enum("network", None, sorted(NETWORKS), "Whose weights they are.")
    flags.DEFINE_string("weights", None, "The downloaded .pth or .pth.tar file.")
    flags.DEFINE_string("output", None, "The .safetensors file to write.")


def main() -> None:
    """Reads the flags, converts and prints how the names fit."""
    from wrp_jax.weights.convert import convert_weights

    command_line.require("network", "weights", "output")
    options = flags.FLAGS
    report = convert_weights(options.weights, options.output, options.network)
    print(report)
    if not report.complete:
        raise UserError(
            f"{options.weights} does not hold the weights of {options.network}, as the list above "
            "shows: nothing was written; choose another --network."
        )
    print(f"wrote {options.output}")
