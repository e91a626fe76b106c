"""DIS flow mended by a small network, as ``Motion``."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from wrp_jax.models.motion import refined_dis
from wrp_jax.motion.batches import over_devices
from wrp_jax.motion.padding import padding_for
from wrp_jax.motion.remembered import remembered
from wrp_jax.types import Clip, Motion, Positions


def refined_dis_motion(variables: Any, flow: Motion, per_device: int) -> Motion:
    """Both directions of a flow, and the network that tells which vectors to trust.

    Args:
      variables: of the network.
      flow: what is mended; it gets the first guess, if there is one.
      per_device: examples per device and call.
    """
    network = refined_dis.build_refined_dis(precision="highest")

    def program(variables, *arrays):
        height, width = arrays[0].shape[1:3]
        padding = padding_for(height, width, refined_dis.MULTIPLE)
        inputs = [padding.pad(array).astype(jnp.float32) for array in arrays]
        return padding.crop(network.apply(variables, *inputs)[-1])

    run = over_devices(program, variables, per_device=per_device)
    flow = remembered(flow)

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        there, back = flow(clip, targets, sources, initial), flow(clip, sources, targets)
        return run(clip.stack(targets), clip.stack(sources), there, back)

    return motion
