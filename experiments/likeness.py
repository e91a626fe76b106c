"""How much are simulated clips like the video? ``python -m experiments.likeness``.

python -m experiments.likeness --data=D --windows=FILE [--stills=ROOT:SPLITFILE] --workdir=RUN

Where composed flow and g_ψ differ, how often is either of them right? Counted in clips as the
chooser is trained on, and in the windows against their own true labels, by distance in time and
by whether the way back to the labelled frame stays in the picture. A chooser learns the first
and meets the second. ``RUN`` is a workdir of ``train.py`` with a finished segmentation stage.

Finding: far from the labelled frame clips resemble the video; near it, motion is right more often
in the clips, so the chooser is too sure of motion there (results/likeness.json).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from experiments.oracle import everywhere, scored_guesses
from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.windows import choose_windows
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES, Hypotheses
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.training.refiner.chooser.chain_states import chain_states
from wrp_jax.training.refiner.examples.generate import ExampleGenerator, generate_examples
from wrp_jax.training.refiner.examples.simulated import SimulatedClip
from wrp_jax.training.refiner.examples.training_data import gather_training_data
from wrp_jax.types import clip_of

DISTANCES = ((1, 2), (3, 5), (6, 8), (9, 10))
PLACES = ("in view", "left it on the way", "outside")
_MOTION, _DIRECT, _SEGMENTATION = map(HYPOTHESES.index, ("composed", "direct", "segmentation"))

Counts = dict[tuple[tuple[int, int], str], np.ndarray]


def contest(step: int, active: np.ndarray, hypotheses: Hypotheses, truth: np.ndarray) -> Counts:
    """Pixels where the two differ, and where motion and g_ψ are right, by distance and place.

    Args:
      step: frames from the labelled one.
      active: active classes.
      hypotheses: of one frame.
      truth: class indices ``[h, w]``, -1 where unknown.
    """
    says = active[np.asarray(hypotheses.votes).argmax(-1)]
    motion, segmentation = says[..., _MOTION], says[..., _SEGMENTATION]
    differ = (motion != segmentation) & (truth >= 0)
    outside = np.asarray(hypotheses.valid)[..., _DIRECT] <= 0.5
    left = ~outside & (np.asarray(hypotheses.age) >= 0.5)
    distance = next(d for d in DISTANCES if step <= d[1])
    counts = {}
    for place, there in zip(PLACES, (~outside & ~left, left, outside), strict=True):
        there = there & differ
        right = [(there & (says == truth)).sum() for says in (motion, segmentation)]
        counts[distance, place] = np.array([there.sum(), *right])
    return counts


def total(parts: Iterator[Counts] | Sequence[Counts]) -> Counts:
    """Adds up."""
    result: Counts = defaultdict(lambda: np.zeros(3, np.int64))
    for part in parts:
        for key, counts in part.items():
            result[key] = result[key] + counts
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--workdir"):
        parser.add_argument(name, required=True)
    parser.add_argument("--stills", action="append", default=[])
    record_option(parser)
    parsed = parser.parse_args(arguments)
    config, source = Config(), open_source(parsed.data)
    windows = choose_windows(
        source, windows=parsed.windows, keyframes=None, key_every=0, horizon=10
    )
    known = KnownLabels(source, windows, [parse_stills(s) for s in parsed.stills])
    motion = build_motion(config.motion)
    segment = load_segmenter(parsed.workdir, config, source, windows, known)

    def of_clip(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[Counts]:
        orders, steps = np.arange(len(clip.frames))[None], frozenset(clip.steps)
        long = long_flows(clip_of(clip.frames), clip.cues, orders, motion, steps=steps)
        states = chain_states(clip.cues, long, orders, clip.labels[0], steps)
        for step, active, carry, cues in states:
            guesses = everywhere(carry, cues)
            one = Hypotheses(*(np.asarray(a)[0] if np.ndim(a) > 1 else a for a in guesses))
            yield contest(step, active, one, clip.labels[step])

    data = gather_training_data(known, source, windows, motion, segment)
    generator = ExampleGenerator(object, of_clip, lambda *_: ())
    examples = generate_examples(config.refiner, config.seed, data, generator)
    simulated = total(cast("list[Counts]", examples))
    real = total(contest(*guess) for guess in scored_guesses(source, windows, motion, segment))
    print("Right where composed flow and segmentation differ, in %: motion / segmentation")
    print(f"{'frames':8s}{'way back':20s}{'simulated':>24s}{'video':>24s}")
    found = {}
    for distance in DISTANCES:
        for place in PLACES:
            cells, row = [], {}
            for name, counts in (("simulated", simulated), ("video", real)):
                pixels, *right = counts[distance, place]
                share = [100 * r / max(int(pixels), 1) for r in right]
                row |= {f"{name} motion": share[0], f"{name} segmentation": share[1]}
                cells.append(f"{share[0]:5.1f} / {share[1]:4.1f} of {pixels:8d}")
            print(f"{distance[0]:2d}-{distance[1]:2d}   {place:20s}{cells[0]:>24s}{cells[1]:>24s}")
            found[f"{distance[0]}-{distance[1]} {place}"] = row
    if parsed.record:
        note = "right where the two differ, in %"
        write_result(parsed.record, found, seeds=[config.seed], note=note)


if __name__ == "__main__":
    main()
