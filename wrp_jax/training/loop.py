"""The loop of every stage: save → next batch → step → log.

Stopped at any point and started again, it gives the parameters of the uninterrupted run: a
checkpoint holds the state and the position of the data, and the random key of step k is
``fold_in(key(seed), k)``. Of several processes each reads its part of every batch, and the first
one writes.
"""

from __future__ import annotations

import collections
import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from wrp_jax import interrupts, processes
from wrp_jax.progress import Progress
from wrp_jax.runs.checkpoints import Checkpoints, checkpoints_of
from wrp_jax.sharding import (
    batch_sharding,
    global_batch,
    mesh_for_batch,
    own_parts,
    place,
    replicate,
    replicated,
    state_shardings,
)
from wrp_jax.training.device_batches import DeviceBatches
from wrp_jax.training.metrics_log import MetricsLog
from wrp_jax.training.pipeline import Batches
from wrp_jax.training.state import TrainState
from wrp_jax.types import Interrupted, UserError

TrainStep = Callable[[TrainState, Any, jax.Array], tuple[TrainState, dict[str, Any]]]


class TrainingDivergedError(UserError):
    """A loss or a parameter is not finite."""


def fit(
    *,
    name: str,
    state: TrainState,
    train_step: TrainStep,
    batches: Batches,
    steps: int,
    workdir: str | os.PathLike,
    seed: int,
    metadata: dict[str, Any],
    checkpoint_every: int | None = None,
    log_every: int = 20,
    eval_fn: Callable[[TrainState], dict[str, float]] | None = None,
    mesh: jax.sharding.Mesh | None = None,
    sharding: str = "replicated",
) -> TrainState:
    """Trains one stage up to ``steps`` steps, from its newest checkpoint if there is one.

    Args:
      name: of the stage; names its checkpoints and its lines in ``metrics.jsonl``.
      state: before the first step; also says which structure a checkpoint must have.
      train_step: ``train_step(state, batch, key) -> (state, metrics)``, pure; it is jitted
        here, with the state donated. The batch is global, split over all devices along its
        leading axis. A metric is a scalar (the mean over the batch) or a pair ``(sum, count)``;
        what is logged is the mean over the steps, or sum of sums / sum of counts. Arrays of a run
        that it reads are best bound by ``jax.tree_util.Partial``: runs that differ in their
        values alone then share one compiled program.
      batches: this process's part of each batch, see ``data.pipeline.make_batches``.
      steps: number of steps in all.
      workdir: of the run.
      seed: of the keys that ``train_step`` gets.
      metadata: JSON-serialisable; see ``checkpoint.check_metadata``.
      checkpoint_every: steps between checkpoints; None: a tenth of ``steps``.
      log_every: steps between lines of metrics.
      eval_fn: ``eval_fn(state) -> metrics`` on the host, after each checkpoint.
      mesh: devices; None: all of them, or as many as divide the batch.
      sharding: where the arrays of the state lie, a key of ``sharding.RULES``.

    Returns:
      The state after the last step, as it lies on the devices: ``sharding.gather`` makes arrays of
      it that are whole.

    Raises:
      UserError: the checkpoints are of something else, the batch does not divide over the
        devices, or the loss is not finite.
      Interrupted: SIGTERM or Ctrl-C; the state is saved.
      MachineError: the disk is full; the checkpoints before are kept.
    """
    mesh = mesh_for_batch(batches.batch_size) if mesh is None else mesh
    every = max(1, steps // 10) if checkpoint_every is None else checkpoint_every
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupts.listening())
        state = state.replace(step=np.int32(0))
        shardings = state_shardings(state, mesh, sharding)
        split = any(not s.is_fully_replicated for s in jax.tree.leaves(shardings))
        checkpoints = Checkpoints(checkpoints_of(workdir, name), metadata, split=split)
        stack.callback(checkpoints.close)
        device_batches = DeviceBatches(batches, mesh)
        stack.callback(device_batches.close)
        averages = _Averages(name)
        step, saved = 0, -1
        restored = checkpoints.restore(state)
        if restored is not None:
            step, state = restored.step, restored.state
            device_batches.set_state(restored.host_state["batches"])
            averages.set_state(restored.host_state["averages"])
            saved = step
        state = place(state.replace(step=np.int32(step)), shardings)
        if step >= steps:
            return state
        log = MetricsLog(workdir, name, step)
        stack.callback(log.close)
        compiling = f"compiling the training step of {name}"
        progress = stack.enter_context(Progress(name, steps, step, first=compiling))
        start = time.monotonic()

        def save() -> None:
            averages.flush()
            _check_finite((state.params, state.batch_stats), "a parameter", name, step)
            host_state = {"batches": device_batches.get_state(), "averages": averages.get_state()}
            checkpoints.save(step, state, host_state)

        together = jax.process_count() > 1
        one_step, bound = jit_step(mesh, shardings), replicate(bind(train_step), mesh)
        key = replicate(jax.random.key_data(jax.random.key(seed)), mesh)
        compiled = None
        while step < steps:
            if step % every == 0 and step > saved:
                save()
                if eval_fn is not None and step:
                    log.write(step, eval_fn(state), time.monotonic() - start)
            # Of several processes the others are already on their way into the same step: all stop
            # after the step in which all have heard of it.
            stop = averages.stop if together else interrupts.requested()
            if stop:
                save()
                checkpoints.wait()
                raise Interrupted(f"{stop} after step {step} of {steps} of {name}, saved")
            try:
                batch = next(device_batches)
            except Interrupted:  # what read the batch was stopped as well
                if not together:
                    continue
                device_batches.close()
                batch = next(device_batches)
            arguments = (bound, state, batch, key, _stop_flags(mesh) if together else None)
            if compiled is None:
                compiled = one_step.lower(*arguments).compile() if together else one_step
                processes.align()  # compiling takes each its own time, exchanges wait seconds only
            state, metrics, stops = compiled(*arguments)
            step += 1
            averages.add(step, metrics, stops)
            means = None
            if step % log_every == 0 or step == steps:
                means = averages.take()
                log.write(step, means, time.monotonic() - start)
            progress.update(step, means)
        save()
        checkpoints.wait()
        if eval_fn is not None:
            log.write(step, eval_fn(state), time.monotonic() - start)
    return state


def bind(train_step: TrainStep) -> Partial:
    """The train step as a pytree, whose leaves are the arrays that it was bound to, if any."""
    return train_step if isinstance(train_step, Partial) else Partial(train_step)


def jit_step(mesh: jax.sharding.Mesh, shardings: Any) -> Any:
    """The program that `fit` runs: ``(train step, state, batch, key data, stop flags or None)``.

    The train step is that of `bind`: what it is bound to is an argument of the program, not a
    constant in it. The state is donated: the new one takes its memory.

    Args:
      mesh: devices.
      shardings: of the state, see ``sharding.state_shardings``.

    Returns:
      A jitted function that returns state, metrics and the sum of the stop flags.
    """

    def one_step(
        train_step: Partial, state: TrainState, batch: Any, key: jax.Array, stop: jax.Array | None
    ) -> Any:
        step_key = jax.random.fold_in(jax.random.wrap_key_data(key), state.step)
        new, metrics = train_step(state, batch, step_key)
        stops = None if stop is None else stop.sum()
        return new.replace(step=state.step + 1), metrics, stops

    everywhere, split = replicated(mesh), batch_sharding(mesh)
    return jax.jit(
        one_step,
        in_shardings=(everywhere, shardings, split, everywhere, split),
        out_shardings=(shardings, everywhere, everywhere),
        donate_argnums=1,
    )


def _stop_flags(mesh: jax.sharding.Mesh) -> jax.Array:
    """One number per device: 1 where its process was told to stop. Their sum all processes see."""
    told = interrupts.requested() is not None
    return global_batch(np.full(len(mesh.local_devices), told, np.int32), mesh)


class _Averages:
    """Metrics since the last line. At most one step runs ahead of what has been checked."""

    def __init__(self, name: str):
        self._name = name
        self._pending: collections.deque[tuple[int, dict[str, Any], Any]] = collections.deque()
        self._sums: dict[str, list[float]] = {}  # metric → [sum, count]
        self.stop: str | None = None  # why all processes stop, once a checked step has said so

    def add(self, step: int, metrics: dict[str, Any], stops: Any = None) -> None:
        """Takes the metrics of a step, which may still be running, and the sum of stop flags."""
        self._pending.append((step, metrics, stops))
        self._drain(keep=1)

    def flush(self) -> None:
        """Waits for all steps and checks them."""
        self._drain(keep=0)

    def take(self) -> dict[str, float]:
        """Means since the last call."""
        self.flush()
        means = {name: total / count for name, (total, count) in self._sums.items() if count}
        self._sums = {}
        return means

    def get_state(self) -> dict[str, list[float]]:
        return dict(self._sums)

    def set_state(self, state: dict[str, list[float]]) -> None:
        self._sums = {name: list(pair) for name, pair in state.items()}

    def _drain(self, keep: int) -> None:
        while len(self._pending) > keep:
            step, metrics, stops = self._pending.popleft()
            metrics, stops = jax.device_get((metrics, stops))
            if stops:
                self.stop = interrupts.requested() or "stopped with another process"
            _check_finite(metrics, "the loss", self._name, step)
            for name, value in metrics.items():
                total, count = value if isinstance(value, tuple | list) else (value, 1.0)
                sums = self._sums.setdefault(name, [0.0, 0.0])
                sums[0] += float(total)
                sums[1] += float(count)


def _check_finite(tree: Any, what: str, name: str, step: int) -> None:
    leaves = (part.astype(np.float32) for leaf in jax.tree.leaves(tree) for part in own_parts(leaf))
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        raise TrainingDivergedError(
            f"{name}: {what} is not finite at step {step}, and the checkpoints before it are "
            f"kept: give a lower learning_rate of {name} and another --workdir."
        )
