"""The motion networks as ``Motion``: padded to their multiple, cropped back, batched, sharded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from wrp_jax.config import MotionConfig
from wrp_jax.models.motion import flownet2, raft
from wrp_jax.models.network import ARITHMETIC
from wrp_jax.motion.batches import over_devices
from wrp_jax.motion.padding import MODES, padding_for
from wrp_jax.types import Clip, Motion, Positions, UserError


def raft_program(config: MotionConfig, per_device: int) -> Callable[..., Array]:
    """RAFT on frames of any size.

    Returns:
      ``program(variables, target, source, initial) -> flow``; frames uint8 ``[b, h, w, 3]`` RGB,
      flows ``[b, h, w, 2]`` in pixels on the target. Padded as ``config.padding`` says.

    Raises:
      UserError: an option that RAFT does not know.
    """
    for option, known in (
        ("correlation", raft.CORRELATIONS), ("dtype", ARITHMETIC), ("padding", MODES)
    ):  # fmt: skip
        value = getattr(config, option)
        if value not in known:
            raise UserError(
                f"config.motion.{option}={value!r} is unknown: use one of {', '.join(known)}."
            )
    if config.iterations < 1:
        raise UserError(f"config.motion.iterations={config.iterations} must be at least 1.")

    def program(
        variables: Any,
        target: UInt8[Array, "b h w 3"],
        source: UInt8[Array, "b h w 3"],
        initial: Float[Array, "b h w 2"],
    ) -> Float[Array, "b h w 2"]:
        height, width = target.shape[1:3]
        padding = padding_for(
            height, width, raft.MULTIPLE, mode=config.padding, smallest=raft.SMALLEST
        )
        start = padding.pad(initial)
        b, h, w, _ = start.shape
        cell = raft.MULTIPLE
        start = start.reshape(b, h // cell, cell, w // cell, cell, 2).mean((2, 4)) / cell
        kind = config.correlation
        if kind == "auto":
            # By what one device holds: the same choice on one device and on many.
            kind = raft.correlation_for(per_device, h // cell, w // cell)
        network = raft.build_raft(
            config.name,
            iterations=config.iterations,
            correlation=kind,
            **ARITHMETIC[config.dtype]._asdict(),
        )
        images = [padding.pad(frames).astype(jnp.float32) for frames in (target, source)]
        return padding.crop(network.apply(variables, *images, start).flow)

    return program


def raft_motion(config: MotionConfig, variables: Any, per_device: int) -> Motion:
    """RAFT; a first guess is where its iterations start."""
    run = over_devices(raft_program(config, per_device), variables, per_device=per_device)

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        target, source = clip.stack(targets), clip.stack(sources)
        if initial is None:
            initial = np.zeros((*target.shape[:3], 2), np.float32)
        return run(target, source, np.nan_to_num(initial.astype(np.float32)))

    return motion


def flownet2_motion(variables: Any, per_device: int, *, bgr: bool = False) -> Motion:
    """FlowNet2; a first guess is ignored.

    Args:
      variables: of the network.
      per_device: examples per device and call.
      bgr: show it the colours in the order in which SDC-Net's release did.
    """
    network = flownet2.build_flownet2()

    def program(variables, *frames):
        height, width = frames[0].shape[1:3]
        padding = padding_for(height, width, flownet2.MULTIPLE)
        images = [padding.pad(f[..., ::-1] if bgr else f).astype(jnp.float32) for f in frames]
        return padding.crop(network.apply(variables, *images))

    run = over_devices(program, variables, per_device=per_device)

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return run(clip.stack(targets), clip.stack(sources))

    return motion
