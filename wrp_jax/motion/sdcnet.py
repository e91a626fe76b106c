"""SDC-Net as ``Motion``: it reads three frames, and the flows of another motion between them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from wrp_jax.models.motion import sdcnet
from wrp_jax.motion.batches import over_devices
from wrp_jax.motion.frame_places import FramePlaces
from wrp_jax.motion.padding import padding_for
from wrp_jax.types import Clip, Motion


def sdcnet_motion(
    variables: Any, flow: Motion, per_device: int, *, sees_target: bool = True
) -> Motion:
    """SDC-Net: from the frame before the source, the source and the target to the flow between.

    Video *reconstruction* reads ``[before, source, target]`` and the flow on each of these into
    the one before it; *prediction* does not look at the target (CVPR 2019, section 3.1). The
    frame before stands as far from the source as the target does on its other side; ``within``
    tells where. Where the clip ends, the source stands for it, with zero flow. (The release's
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

    def build(clip: Clip | None, flow: Motion) -> Motion:
        places = None if clip is None else FramePlaces(clip)

        def pairs(
            target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
        ) -> np.ndarray:
            asked = [places and places.pair(t, s) for t, s in zip(target, source, strict=True)]
            further = [_beyond(pair, clip.count if clip else 0) for pair in asked]
            before = source.copy()
            flow_before = np.zeros((*target.shape[:3], 2), np.float32)
            flow_here = flow.pairs(target, source, initial) if sees_target else None
            # In a run of neighbours the flow into the frame before is that of another pair.
            known = {} if flow_here is None or initial is not None else dict(_by_place(asked))
            missing = []
            for i, pair in enumerate(further):
                if clip is None or pair is None:
                    continue
                before[i] = clip.frame(pair[1])
                if flow_here is not None and pair in known:
                    flow_before[i] = flow_here[known[pair]]
                else:
                    missing.append(i)
            if missing:
                flow_before[missing] = flow.pairs(source[missing], before[missing])
            flows, frames = [flow_before], [before, source]
            if flow_here is not None:
                flows.append(flow_here)
                frames.append(target)
            return run(np.nan_to_num(np.stack(flows, axis=1)), *frames)

        return Motion(pairs, lambda clip: build(clip, flow.within(clip)))

    return build(None, flow)


def _beyond(pair: tuple[int, int] | None, count: int) -> tuple[int, int] | None:
    """The pair that goes on from this one by the same distance, where ``count`` frames have it."""
    if pair is None:
        return None
    target, source = pair
    before = 2 * source - target
    return (source, before) if 0 <= before < count else None


def _by_place(pairs):
    return ((pair, i) for i, pair in enumerate(pairs) if pair is not None)
