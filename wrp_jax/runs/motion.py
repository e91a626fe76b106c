"""f_θ of a run."""

from __future__ import annotations

import os

from wrp_jax.config import Config
from wrp_jax.motion.build import build_motion
from wrp_jax.runs.results import MOTION, load_result
from wrp_jax.types import Motion, UserError


def load_motion(workdir: str | os.PathLike, config: Config) -> Motion:
    """Reads a trained f_θ back.

    Raises:
      UserError: not trained yet, a damaged file, or another network.
    """
    variables, metadata = load_result(workdir, MOTION)
    trained, name = metadata["config"]["motion"]["name"], config.motion.name
    if trained != name:
        raise UserError(
            f"{workdir} was trained with config.motion.name={trained!r}, not {name!r}: give the "
            "same --config, or another --workdir."
        )
    return build_motion(config.motion, variables)


def motion_of(config: Config, workdir: str | os.PathLike | None) -> Motion:
    """f_θ of a run: what its stage "motion" trained, if it has one; else what the options name.

    Raises:
      UserError: as ``load_motion`` and ``build_motion``; or there is no workdir to look in.
    """
    if MOTION not in config.stages:
        return build_motion(config.motion)
    if workdir is None:
        raise UserError(
            "--workdir is missing: this config trains its motion, and train.py keeps it there."
        )
    return load_motion(workdir, config)
