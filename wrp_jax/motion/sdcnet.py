"""SDC-Net as ``Motion``: it reads three frames, and the flows of another motion between them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from wrp_jax.models.motion import sdcnet
from wrp_jax.motion.batches import over_devices
from wrp_jax.motion.padding import padding_for
from wrp_jax.types import Clip, Motion, Positions


def sdcnet_motion(
    variables: Any, flow: Motion, per_device: int, *, sees_target: bool = True
) -> Motion:
    """SDC-Net: from the frame before the source, the source and the target to the flow between.

    Video *reconstruction* reads ``[before, source, target]`` and the flow on each of these into
    the one before it; *prediction* does not look at the target (CVPR 2019, section 3.1). The
    frame before stands as far from the source as the target does on its other side. Where the
    clip ends, the source stands for it, with zero flow. (The release's
    tool keeps the labelled frame as ``before`` from the second step on, which makes the flow
    depend on the frame that happens to be labelled.)

    Args:
      variables: of the network.
      flow: estimates the flows it reads, and is given the first guess, if there is one; void
        vectors are read as zero.
      per_device: examples per device and call.
      sees_target: reconstruction rather than prediction.
    """
    network = sdcnet.build_sdcnet()

    def program(variables, flows, *frames):
        height, width = flows.shape[2:4]
        padding = padding_for(height, width, sdcnet.MULTIPLE)
        clip = jnp.stack(frames, axis=1)[..., ::-1].astype(jnp.float32)  # the release reads BGR
        return padding.crop(network.apply(variables, padding.pad(clip), padding.pad(flows)))

    run = over_devices(program, variables, per_device=per_device)

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        pairs = [(int(t), int(s)) for t, s in zip(targets, sources, strict=True)]
        target, source = clip.stack(targets), clip.stack(sources)
        before, flow_before = source.copy(), np.zeros((*source.shape[:3], 2), np.float32)
        flow_here = flow(clip, targets, sources, initial) if sees_target else None
        # In a run of neighbours the flow into the frame before is that of another pair.
        reuse = flow_here is not None and initial is None
        known = {pair: i for i, pair in enumerate(pairs)} if reuse else {}
        missing, further = [], []
        for i, (t, s) in enumerate(pairs):
            beyond = 2 * s - t
            if not 0 <= beyond < clip.count:
                continue
            before[i] = clip.frame(beyond)
            if flow_here is not None and (s, beyond) in known:
                flow_before[i] = flow_here[known[s, beyond]]
            else:
                missing.append(i)
                further.append(beyond)
        if missing:
            flow_before[missing] = flow(clip, [pairs[i][1] for i in missing], further)
        flows, frames = [flow_before], [before, source]
        if flow_here is not None:
            flows.append(flow_here)
            frames.append(target)
        return run(np.nan_to_num(np.stack(flows, axis=1)), *frames)

    return motion
