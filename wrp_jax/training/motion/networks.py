"""The motion networks as training sees them: from a batch to flows on its target frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from wrp_jax.config import Config
from wrp_jax.models.motion import raft, refined_dis, sdcnet
from wrp_jax.training.unroll import unroll_for_gradients
from wrp_jax.types import UserError

Batch = dict[str, Any]
"""What one step reads; every entry leads with the batch.

``frames``: uint8 ``[b, t, h, w, 3]``, RGB; the last is the target, the one before it the source.
``guess``: float32 ``[b, t-1, 2, h, w, 2]``, where a network reads flows: by another motion, on
frame i+1 into frame i, and the other way. ``flow``, ``valid``: the truth on the target, into the
source, where there is one.
"""


class Estimator(NamedTuple):
    """A network to be trained.

    Attributes:
      init: ``init(key, batch) -> variables``.
      flows: ``flows(variables, batch, train) -> (estimates, batch_stats)``: flows
        ``[b, h, w, 2]`` on the target, into the source, the last one best.
      frames: how many it looks at.
      multiple: that height and width must be a multiple of.
    """

    init: Callable[[Any, Batch], Any]
    flows: Callable[[Any, Batch, bool], tuple[Sequence[Any], Any]]
    frames: int
    multiple: int


def build_estimator(config: Config) -> Estimator:
    """The estimator of ``config.motion.name``.

    Raises:
      UserError: it is no network that can be trained here.
    """
    check_trainable(config.motion.name)
    return _BUILDERS[config.motion.name](config)


def check_trainable(name: str) -> None:
    """Raises ``UserError`` for a ``config.motion.name`` that is no network to be trained here."""
    if name not in _BUILDERS:
        raise UserError(
            f"config.motion.name={name!r} cannot be trained: use one of {', '.join(_BUILDERS)}."
        )


def pair_of(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Target and source, float32 0 … 255."""
    frames = batch["frames"]
    return frames[:, -1].astype(jnp.float32), frames[:, -2].astype(jnp.float32)


def both_ways(batch: Batch) -> Batch:
    """A batch of pairs followed by the same pairs with target and source exchanged."""
    swapped = {"frames": batch["frames"][:, ::-1]}
    if "guess" in batch:
        swapped["guess"] = batch["guess"][:, ::-1, ::-1]
    return {key: jnp.concatenate([batch[key], swapped[key]]) for key in swapped}


def _raft(config: Config) -> Estimator:
    options = config.motion_training
    network = raft.build_raft(
        config.motion.name,
        iterations=options.iterations,
        frozen_batch_norm=options.freeze_batch_norm,
        unroll=unroll_for_gradients(),
    )

    def flows(variables: Any, batch: Batch, train: bool):
        if not train:
            return [network.apply(variables, *pair_of(batch)).flow], None
        output, batch_stats = network.apply(variables, *pair_of(batch), train=True)
        return output.flows, batch_stats

    init = lambda key, batch: network.init(key, *pair_of(batch))  # noqa: E731
    return Estimator(init, flows, 2, raft.MULTIPLE)


def _sdcnet(config: Config) -> Estimator:
    network = sdcnet.build_sdcnet()
    sees_target = config.motion.name == "sdcnet"

    def inputs(batch: Batch) -> tuple[jax.Array, jax.Array]:
        frames = batch["frames"][..., ::-1].astype(jnp.float32)  # the release reads BGR
        flows = batch["guess"][:, :, 0]
        return (frames, flows) if sees_target else (frames[:, :-1], flows[:, :-1])

    def flows(variables: Any, batch: Batch, train: bool):
        del train
        return [network.apply(variables, *inputs(batch))], {}

    return Estimator(lambda key, batch: network.init(key, *inputs(batch)), flows, 3, 64)


def _refined_dis(config: Config) -> Estimator:
    del config
    network = refined_dis.build_refined_dis()

    def inputs(batch: Batch) -> tuple[jax.Array, ...]:
        return (*pair_of(batch), batch["guess"][:, -1, 0], batch["guess"][:, -1, 1])

    def flows(variables: Any, batch: Batch, train: bool):
        del train
        return network.apply(variables, *inputs(batch)), {}

    init = lambda key, batch: network.init(key, *inputs(batch))  # noqa: E731
    return Estimator(init, flows, 2, refined_dis.MULTIPLE)


_BUILDERS: dict[str, Callable[[Config], Estimator]] = {
    "refined_dis": _refined_dis,
    "raft_large": _raft,
    "raft_small": _raft,
    "sdcnet": _sdcnet,
    "sdcnet_prediction": _sdcnet,
}
