"""f_θ by the name in the options: ``build_motion``."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from wrp_jax.config import MotionConfig
from wrp_jax.files.regular import sha256
from wrp_jax.motion.dis import dis_motion
from wrp_jax.motion.networks import flownet2_motion, raft_motion
from wrp_jax.motion.precomputed import precomputed_motion
from wrp_jax.motion.refined_dis import refined_dis_motion
from wrp_jax.motion.sdcnet import sdcnet_motion
from wrp_jax.motion.still import zero_motion
from wrp_jax.sharding import examples_at_once
from wrp_jax.types import Motion, UserError
from wrp_jax.weights.load import load_weights

ALGORITHMS = ("dis", "zero", "precomputed")
NETWORKS = ("refined_dis", "raft_large", "raft_small", "sdcnet", "sdcnet_prediction", "flownet2")
"""Names that need weights; those of ``weights.published.NETWORKS``."""
SDCNETS = ("sdcnet", "sdcnet_prediction")
"""Networks that read the flows of ``config.motion.flow``."""
ASSETS = {"refined_dis": Path(__file__).parents[1] / "assets" / "refined_dis.safetensors"}
"""Weights of ours that come with the package."""


def build_motion(config: MotionConfig, variables: Any = None, *, bgr: bool = False) -> Motion:
    """Builds the motion named in the options.

    Args:
      config: ``config.motion``.
      variables: of the network, where they are at hand; else ``config.weights`` is read.
      bgr: show FlowNet2 its colours as SDC-Net's release does; other motions keep RGB.

    Raises:
      UserError: there is no motion of that name, an option it does not know, a network without
        weights, or weights of another one.
    """
    name = config.name
    if name == "zero":
        return zero_motion()
    if name == "dis":
        return dis_motion(config)
    if name == "precomputed":
        return precomputed_motion(Path(config.folder), _other(config))
    if name not in NETWORKS:
        raise _unknown("name", name)
    if variables is None:
        if not config.weights and name not in ASSETS:
            raise _no_weights(name, "config.motion.weights")
        variables = load_weights(config.weights or ASSETS[name], name)
    count = config.pairs_per_device or examples_at_once()
    if name.startswith("raft"):
        return raft_motion(config, variables, count)
    if name == "flownet2":
        return flownet2_motion(variables, count, bgr=bgr)
    guide = guide_of(config)
    assert guide is not None  # the networks that are left read flows
    if name == "refined_dis":
        return refined_dis_motion(variables, guide, count)
    return sdcnet_motion(variables, guide, count, sees_target=name == "sdcnet")


def guide_of(config: MotionConfig) -> Motion | None:
    """The motion whose flows the network of ``config.name`` reads; None where it reads none.

    Raises:
      UserError: as ``build_motion``, of ``config.flow``.
    """
    if config.name == "refined_dis":
        return dis_motion(config)
    if config.name not in SDCNETS:
        return None
    if config.flow == "precomputed":
        return precomputed_motion(Path(config.folder), dis_motion(config))
    return _other(config, bgr=True)


def reads_flow_files(config: MotionConfig) -> bool:
    """Whether flow is read from ``config.folder``, by the motion itself or on its behalf."""
    return "precomputed" in (config.name, config.flow if config.name in SDCNETS else "")


def motion_digest(config: MotionConfig) -> str:
    """Of the files that the options name: results made from others are not to be mixed with.

    Weights count by their content, precomputed flow by its files' names, sizes and times.

    Returns:
      Hexadecimal digits; none where no file is read.
    """
    files, facts = [], []
    if config.name in NETWORKS:
        files.append(config.weights or ASSETS.get(config.name))
    if config.name in (*SDCNETS, "precomputed"):
        files.append(config.flow_weights or ASSETS.get(config.flow))
    facts += [sha256(path).hex() for path in files if path]
    if reads_flow_files(config):
        files = [path for path in Path(config.folder).rglob("*") if path.is_file()]
        files = sorted(path for path in files if not path.name.startswith("."))  # of dump's own
        for path in files:
            status = path.stat()
            name = path.relative_to(config.folder)
            facts.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest() if facts else ""


def _other(config: MotionConfig, *, bgr: bool = False) -> Motion:
    """The motion of ``config.flow``, which another one reads or falls back on."""
    if config.flow in (*SDCNETS, "precomputed"):
        raise UserError(
            f"config.motion.flow={config.flow!r} needs flow itself: use another, such as dis."
        )
    if config.flow not in (*ALGORITHMS, *NETWORKS):
        raise _unknown("flow", config.flow)
    if config.flow in NETWORKS and not config.flow_weights and config.flow not in ASSETS:
        raise _no_weights(config.flow, "config.motion.flow_weights")
    options = dataclasses.replace(config, name=config.flow, weights=config.flow_weights)
    return build_motion(options, bgr=bgr)


def _unknown(option: str, name: str) -> UserError:
    names = ", ".join((*ALGORITHMS, *NETWORKS))
    return UserError(f"config.motion.{option}={name!r} is unknown: use one of {names}.")


def _no_weights(network: str, option: str) -> UserError:
    return UserError(
        f"{network} has no weights: give --{option}=FILE (a published .pth, what "
        "wrp convert-weights wrote, or the motion.safetensors of a run that trained it: "
        "configs/motion_video.py), or choose another motion such as dis."
    )
