"""f_θ: motion networks and algorithms, looked up by name."""

from __future__ import annotations

from collections.abc import Callable

from wrp_jax.config import MotionConfig
from wrp_jax.models.motion.base import Motion, zero_motion
from wrp_jax.models.motion.dis import dis_motion
from wrp_jax.types import UserError

_BUILDERS: dict[str, Callable[[MotionConfig], Motion]] = {
    "dis": dis_motion,
    "zero": lambda config: zero_motion(),
}


def build_motion(config: MotionConfig) -> Motion:
    """Builds the motion named in the options.

    Raises:
      UserError: there is no motion of that name.
    """
    if config.name not in _BUILDERS:
        raise UserError(
            f"config.motion.name={config.name!r} is unknown: use one of {', '.join(_BUILDERS)}."
        )
    return _BUILDERS[config.name](config)


__all__ = ["Motion", "build_motion"]
