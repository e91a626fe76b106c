"""Steps scanned over a chain, in one piece or in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from wrp_jax.propagation.step import Step
from wrp_jax.types import Cues


def rollout(
    step: Step, state: Any, cues: Cues, *, unroll: int | bool = 1, remat: bool = False
) -> tuple[Any, Any]:
    """Runs a step over all cues with ``jax.lax.scan``.

    Args:
      step: ``step(state, cues_t) -> (state, output)``.
      state: of the carrier, on the first frame.
      cues: T steps, time leading.
      unroll: steps per iteration of the loop; True unrolls all (on a CPU, gradients of
        convolutions are much faster so).
      remat: forget what a step computes and compute it again when differentiating: memory
        grows with the state per step only.

    Returns:
      The last state, and every output with time leading.
    """
    if remat:
        step = jax.checkpoint(step, prevent_cse=False)
    return jax.lax.scan(step, state, cues, unroll=unroll)


def rollout_chunked(
    run: Callable[[Any, Any], tuple[Any, Any]], state: Any, chunks: Iterable[Any]
) -> Iterator[Any]:
    """Runs a long chain piece by piece, so that memory does not grow with its length.

    Args:
      run: ``run(state, chunk) -> (state, outputs)``, usually a jitted ``rollout``.
      state: on the first frame.
      chunks: what ``run`` takes, made one at a time; equal shapes compile once.

    Yields:
      The outputs of each chunk, on the host.
    """
    for chunk in chunks:
        state, outputs = run(state, chunk)
        outputs = jax.tree.map(np.asarray, outputs)
        del chunk  # else it would live on while the next one is made
        yield outputs


def window_orders(n: int, key: int, steps: int | None = None) -> Int[np.ndarray, "2 frames"]:
    """Frames visited by the two chains of a window: forward in time, and backward.

    Args:
      n: frames in the window.
      key: the labelled one.
      steps: length of both chains; each stands still once it has reached its end. None: as many
        as the longer one needs, and one at least.
    """
    return chain_orders((key, key), (n - 1, 0), steps)


def chain_orders(
    starts: tuple[int, int], ends: tuple[int, int], steps: int | None = None
) -> Int[np.ndarray, "2 frames"]:
    """Frames visited by a chain forward in time and by one backward.

    Args:
      starts: first frames.
      ends: last frames.
      steps: see ``window_orders``.
    """
    (forward, backward), (last, first) = starts, ends
    if steps is None:
        steps = max(last - forward, backward - first, 1)
    walk = np.arange(steps + 1)
    return np.stack([np.minimum(forward + walk, last), np.maximum(backward - walk, first)])


def cycle_order(start: int, length: int, direction: int = 1) -> Int[np.ndarray, "1 frames"]:
    """``t … t+l … t``: out and back again (eq. 9-12).

    Args:
      start: frame t.
      length: l, in frames.
      direction: 1 out into the future, -1 into the past.
    """
    out = start + direction * np.arange(length + 1)
    return np.concatenate([out, out[-2::-1]])[None]
