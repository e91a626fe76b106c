"""Examples of the chooser: crops of hypotheses along simulated clips and at the end of cycles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from wrp_jax.propagation.chooser.agreement import AHEAD, reliability_of
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.training.refiner.chooser.chain_states import chain_states
from wrp_jax.training.refiner.chooser.crops import ChooserCrop, cut_crops
from wrp_jax.training.refiner.examples.cycles import Cycle
from wrp_jax.training.refiner.examples.generate import ExampleGenerator
from wrp_jax.training.refiner.examples.simulated import SimulatedClip
from wrp_jax.training.refiner.examples.training_data import TrainingData
from wrp_jax.types import Motion, clip_of


def chooser_examples(data: TrainingData, crops: int) -> ExampleGenerator[ChooserCrop]:
    """Crops of hypotheses; ``crops`` of them per guessed frame, four times as many per cycle."""
    motion, weights = data.motion, data.class_weights
    expected = data.reliability.overall

    def from_clip(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[ChooserCrop]:
        orders = np.arange(len(clip.frames))[None]
        steps = frozenset(clip.steps)
        # At one of the few frames that g_ψ was run on, about as far as windows are measured.
        ahead = max((t for t in clip.steps if t <= AHEAD + 1), default=0)
        trust = reliability_of(HeldCues(clip.cues), [(0, clip.labels[0])], expected, ahead)
        long = long_flows(clip_of(clip.frames), clip.cues, orders, motion, steps=steps)
        for state in chain_states(clip.cues, long, orders, clip.labels[0], steps):
            truth = clip.labels[state.step]
            yield from cut_crops(rng, state, truth, weights, trust, count=crops)

    def from_cycle(rng: np.random.Generator, cycle: Cycle) -> Iterator[ChooserCrop]:
        return cycle_crops(rng, cycle, motion, weights, expected, crops=4 * crops)

    return ExampleGenerator(ChooserCrop, from_clip, from_cycle)


def cycle_crops(
    rng: np.random.Generator,
    cycle: Cycle,
    motion: Motion,
    class_weights: Float[np.ndarray, " classes"],
    reliability: Float[np.ndarray, "classes 2"],
    *,
    crops: int,
) -> Iterator[ChooserCrop]:
    """Crops at the end of one cycle.

    The way back is a chain of its own, whose key frame is the turning frame with the labels that
    arrived there: a hypothesis that saw the start frame itself would give the answer away.

    Args:
      rng: source of the crops' positions.
      cycle: one of ``draw_cycles``.
      motion: f_θ.
      class_weights: loss weight per class index.
      reliability: of g_ψ: recall and precision per class.
      crops: how many.
    """
    cues, clip, truth = cycle.cues, cycle.clip, cycle.truth
    out, back = cycle.order[:, : cycle.length + 1], cycle.order[:, cycle.length :]
    steps = frozenset({cycle.length})
    # On the way out stepwise labels alone are read: the long flows need no estimate of their own.
    long = long_flows(clip, cues, out, motion, steps=frozenset())
    turned = next(chain_states(cues, long, out, truth, steps)).labels()
    long = long_flows(clip, cues, back, motion, steps=steps)
    for state in chain_states(cues, long, back, turned[0], steps):
        yield from cut_crops(rng, state, truth, class_weights, reliability, count=crops)
