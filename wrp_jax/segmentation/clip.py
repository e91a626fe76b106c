"""g_ψ over the frames of a clip."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wrp_jax import interrupts
from wrp_jax.models.network import Network
from wrp_jax.ops.resize import resize
from wrp_jax.sharding import _BATCH, frames_at_once
from wrp_jax.types import Clip, Positions


@functools.partial(jax.jit, static_argnames=("network", "keep_features"))
def _segment_batch(network: Network, variables: Any, frames: Array, keep_features: bool):
    images = frames.astype(jnp.float32) / 255.0
    output = network.apply(variables, images, train=False)
    logits = resize(output.logits.astype(jnp.float32), (images.shape[1], images.shape[2]))
    features = output.features if keep_features else jnp.zeros((len(images), 1, 1, 0))
    return jax.nn.softmax(logits, axis=-1), features


def segment_clip(
    network: Network,
    variables: Any,
    clip: Clip,
    positions: Positions,
    *,
    batch_size: int = _BATCH,
    keep_features: bool = True,
    sharding: jax.sharding.Sharding | None = None,
) -> tuple[Float[np.ndarray, "n h w c"], Float[np.ndarray, "n fh fw f"]]:
    """Runs g_ψ over frames (eq. 4): softmax at full resolution, and OCR features.

    Bound to a network and its variables it is a ``Segment``.

    Args:
      network: segmentation network; ``apply`` returns a ``SegmentationOutput``.
      variables: its parameters and statistics, on the devices of ``sharding``.
      clip: the frames.
      positions: those that are asked about, one at least.
      batch_size: frames per call, over all devices; fewer of large frames. The last batch is
        filled up, so that one program serves clips of any length.
      keep_features: else they have no channels: the published networks have 512 per 16 pixels.
      sharding: how the frames of a batch lie on the devices; None for one device.
    """
    size = clip.frame(int(positions[0])).shape[:2]
    shards = 1 if sharding is None else sharding.num_devices
    batch_size = shards * min(-(-batch_size // shards), frames_at_once(*size))
    parts = []
    for start in range(0, len(positions), batch_size):
        interrupts.check()
        batch = clip.stack(positions[start : start + batch_size])
        short = batch_size - len(batch)
        if short:
            batch = np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)])
        if sharding is not None:
            batch = jax.device_put(batch, sharding)
        probs, features = _segment_batch(network, variables, batch, keep_features)
        keep = batch_size - short
        parts.append((np.asarray(probs)[:keep], np.asarray(features)[:keep]))
    return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])
