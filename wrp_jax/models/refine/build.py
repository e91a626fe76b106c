"""Ω: refiners, looked up by name."""

from __future__ import annotations

from collections.abc import Callable

from wrp_jax.config import RefinerConfig
from wrp_jax.models.network import Network
from wrp_jax.models.refine.chooser import build_chooser
from wrp_jax.models.refine.pix2pix import build_pix2pix
from wrp_jax.types import UserError

_BUILDERS: dict[str, Callable[[RefinerConfig], Network]] = {
    "chooser": lambda config: build_chooser(
        width=config.width, class_width=config.class_width, class_convs=config.class_convs
    ),
    "pix2pix": lambda config: build_pix2pix(),
}


def build_refiner(config: RefinerConfig) -> Network:
    """Builds the refiner named in the options.

    Raises:
      UserError: there is no refiner of that name.
    """
    if config.name not in _BUILDERS:
        raise UserError(
            f"config.refiner.name={config.name!r} is unknown: use one of {', '.join(_BUILDERS)}."
        )
    return _BUILDERS[config.name](config)
