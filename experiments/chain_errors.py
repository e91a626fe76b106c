"""How wrong labels are at the end of a cycle and of a chain of as many steps away from its start.

What a refiner learns from cycles is how labels err that have come back to where they started; what
it is used on are labels that have gone on. A part of ``python -m experiments.paper ablations
--parts=cycles``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from wrp_jax.config import PropagationConfig
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.data.windows import window_frames
from wrp_jax.propagation.along_chains import mask_options
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.cues import chain_cues, clip_cues
from wrp_jax.propagation.rollout import cycle_order, rollout
from wrp_jax.propagation.step import make_step
from wrp_jax.types import ClipCues, Motion, Segment, Window


def chain_errors(
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    config: PropagationConfig,
    lengths: Sequence[int] = (1, 3, 5),
) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of warp-inpaint after 2l steps, of both directions of all windows.

    Args:
      source: the video, with labels at the ends of the open chains; others are left out.
      windows: where chains start, at the labelled frames.
      motion: f_θ.
      segment: g_ψ.
      config: carrier and mask.
      lengths: l of the cycles.

    Returns:
      By number of steps, ``cycle`` and ``open``: ``wrong``, % of the labelled pixels, and
      ``segmentation``, % of the wrong ones where g_ψ is right.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for length in lengths:
        counts = {"cycle": np.zeros(3), "open": np.zeros(3)}
        for window in windows:
            names = window_frames(window, source)
            key, steps = names.index(window.key), 2 * length
            for direction in (1, -1):
                end = key + direction * steps
                if not 0 <= end < len(names):
                    continue
                there = names[min(key, end) : max(key, end) + 1]
                if there[-1 if direction > 0 else 0] not in source.label_names(window.sequence):
                    continue
                cues = clip_cues(read_clip(source, window.sequence, there), motion, segment)
                start = 0 if direction > 0 else steps
                label = source.label(window.sequence, window.key)
                far = source.label(window.sequence, names[end])
                orders = {
                    "cycle": (cycle_order(start, length, direction), label),
                    "open": (np.arange(steps + 1)[None, ::direction], far),
                }
                for kind, (order, truth) in orders.items():
                    counts[kind] += _count(cues, order, label, truth, config)
        found[str(2 * length)] = {
            kind: {
                "wrong": 100.0 * wrong / max(known, 1.0),
                "segmentation": 100.0 * mended / max(wrong, 1.0),
            }
            for kind, (known, wrong, mended) in counts.items()
        }
    return found


def _count(
    cues: ClipCues,
    order: Int[np.ndarray, "1 frames"],
    label: Int[np.ndarray, "h w"],
    truth: Int[np.ndarray, "h w"],
    config: PropagationConfig,
) -> np.ndarray:
    """Labelled pixels at the end of a chain, wrong ones, and those where g_ψ is right."""
    last = _last_labels(config.carrier, config.mask, config.tau, cues.probs.shape[-1])
    carried = np.asarray(last(chain_cues(cues, order), label[None]))
    said = np.asarray(cues.probs[order[0, -1]]).argmax(-1)
    wrong = (truth >= 0) & (carried != truth)
    return np.array([(truth >= 0).sum(), wrong.sum(), (wrong & (said == truth)).sum()], float)


@functools.cache
def _last_labels(name: str, mask: str, tau: float, classes: int) -> Any:
    carrier = build_carrier(name, classes)
    step = make_step(carrier, mask_options(PropagationConfig(carrier=name, mask=mask, tau=tau)))

    def last(cues: Any, label: Any) -> Any:
        state, _ = rollout(step, carrier.init(label), cues)
        return carrier.probs(state)[0].argmax(-1)

    return jax.jit(last)
