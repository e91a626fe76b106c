"""The state of a training run, one pytree: what a checkpoint holds beside the data iterator.

The optimiser itself is not part of it; whoever builds a train step binds it. Random keys are
not part of it either: step k uses ``fold_in(key(seed), k)`` (see ``loop.fit``), so a resumed
run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax.numpy as jnp
import optax


class TrainState(flax.struct.PyTreeNode):
    """Parameters and what travels with them.

    Attributes:
      step: int32 scalar, number of finished steps; ``loop.fit`` counts it.
      params: trainable parameters.
      batch_stats: running statistics, ``{}`` for a network without any.
      opt_state: state of the optax optimiser.
      ema: exponential moving average of ``{"params", "batch_stats"}``, or None.
    """

    step: Any
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any = None


def create_train_state(
    variables: Any, optimizer: optax.GradientTransformation, *, ema: bool = False
) -> TrainState:
    """State before the first step.

    Args:
      variables: what ``Network.init`` returns: ``params`` and perhaps ``batch_stats``.
      optimizer: the optimiser the train step will use.
      ema: whether to keep a moving average of the variables.
    """
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        ema={"params": params, "batch_stats": batch_stats} if ema else None,
    )


def apply_gradients(
    state: TrainState,
    gradients: Any,
    optimizer: optax.GradientTransformation,
    *,
    batch_stats: Any = None,
    ema_decay: float = 0.999,
) -> TrainState:
    """One update of parameters, optimiser and moving average; ``step`` is left to ``fit``.

    The decay of the average rises with the step, ``min(ema_decay, (1 + k) / (10 + k))``, so
    that short runs are not dominated by the initial weights.

    Args:
      state: state before the update.
      gradients: of the loss, in the structure of ``state.params``.
      optimizer: the one ``create_train_state`` was given.
      batch_stats: new running statistics; None keeps the old ones.
      ema_decay: of the moving average, where the state keeps one.

    Reference:
      The rising decay is that of TensorFlow's ``tf.train.ExponentialMovingAverage``.
    """
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    batch_stats = state.batch_stats if batch_stats is None else batch_stats
    ema = state.ema
    if ema is not None:
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = optax.incremental_update(
            {"params": params, "batch_stats": batch_stats}, ema, step_size=1.0 - decay
        )
    return state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state, ema=ema)


def inference_variables(state: TrainState) -> dict[str, Any]:
    """Variables to predict with: the moving average where there is one."""
    if state.ema is not None:
        return dict(state.ema)
    return {"params": state.params, "batch_stats": state.batch_stats}
