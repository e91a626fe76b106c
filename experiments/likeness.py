"""How much are simulated clips like the video? ``python -m experiments.likeness``.

python -m experiments.likeness --data=D --windows=FILE [--stills=ROOT:SPLITFILE] --workdir=RUN
    [--clips=24]

Where composed flow and g_ψ differ, how often is either of them right? Counted in clips as the
chooser is trained on, and in the windows against their own true labels, by distance in time and
by whether the way back to the labelled frame stays in the picture. A chooser learns the first
and meets the second. Between two labelled frames: where the labels that direct flow brings from
both agree, and g_ψ says something else, how often are these right? Pixels that are truly void are
left out. ``RUN`` is a workdir of ``train.py`` with a finished segmentation stage.

Finding: experiments/notes/likeness.md.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.motion.build import build_motion
from wrp_jax.ops.warp import warp_labels
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.simulation.clip import redraw_boundaries
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.chooser.chain_states import chain_states
from wrp_jax.training.refiner.examples.generate import clip_maker
from wrp_jax.training.refiner.examples.simulated import SimulatedClip
from wrp_jax.training.refiner.examples.training_data import TrainingData, gather_training_data
from wrp_jax.types import Clip, ClipCues, clip_of

DISTANCES = ((1, 2), (3, 5), (6, 8), (9, 10))
PLACES = ("in view", "left it on the way", "outside")
ANYWHERE, BOTH_SIDES = "anywhere", "both sides"
NOTE = (
    "in %: how often motion and g_ψ are right where composed flow and g_ψ differ, by the way back; "
    "both sides: where direct flows from both labelled frames agree against g_ψ; anywhere: at all "
    "pixels"
)
_GAP = 21  # frames from one labelled frame to the next

Counts = dict[tuple[tuple[int, int], str], np.ndarray]

_warp_labels = jax.jit(warp_labels)


class Said(NamedTuple):
    """What is said of a frame, class indices ``[h, w]``, -1 where nothing is.

    Attributes:
      step: frames from the labelled one.
      composed: the label that composed flow brings.
      direct: the label that direct flow brings.
      segmentation: of g_ψ.
      inside: whether direct flow ends inside the picture.
      left: whether the way back left the picture at some step.
    """

    step: int
    composed: np.ndarray
    direct: np.ndarray
    segmentation: np.ndarray
    inside: np.ndarray
    left: np.ndarray


def count(says: Sequence[np.ndarray], where: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixels there, and at how many of them either is right."""
    return np.array([where.sum(), *((where & (labels == truth)).sum() for labels in says)])


def contest(said: Said, truth: np.ndarray) -> Counts:
    """Pixels where motion and g_ψ differ, and where either is right, by distance and place.

    Args:
      said: of a frame.
      truth: class indices ``[h, w]``, -1 where unknown or void.
    """
    both = said.composed, said.segmentation
    distance = next(d for d in DISTANCES if said.step <= d[1])
    differ = (said.composed != said.segmentation) & (truth >= 0)
    left = said.inside & said.left
    counts = {(distance, ANYWHERE): count(both, truth >= 0, truth)}
    for place, there in zip(PLACES, (said.inside & ~left, left, ~said.inside), strict=True):
        counts[distance, place] = count(both, there & differ, truth)
    return counts


def side_contest(near: Said, far: Said, truth: np.ndarray) -> Counts:
    """Pixels where the labels from both sides agree against g_ψ, and where either is right.

    Args:
      near: what is said from the nearer labelled frame.
      far: from the other.
      truth: class indices ``[h, w]``, -1 where unknown or void.
    """
    distance = next(d for d in DISTANCES if near.step <= d[1])
    agree = (near.direct == far.direct) & near.inside & far.inside
    there = agree & (near.direct != near.segmentation) & (truth >= 0)
    return {(distance, BOTH_SIDES): count((near.direct, near.segmentation), there, truth)}


def total(parts: Iterable[Counts]) -> Counts:
    """Adds up."""
    result: Counts = defaultdict(lambda: np.zeros(3, np.int64))
    for part in parts:
        for key, counts in part.items():
            result[key] = result[key] + counts
    return result


def walk(
    data: TrainingData,
    clip: Clip,
    cues: ClipCues,
    label: np.ndarray,
    order: Sequence[int],
    steps: Collection[int],
) -> Iterator[Said]:
    """What is said at some steps of a chain.

    Args:
      data: its motion is read.
      clip: the frames.
      cues: of the clip.
      label: class indices of the first frame of the chain.
      order: frames visited.
      steps: counted from 1.
    """
    orders = np.asarray(order)[None]
    long = long_flows(clip, cues, orders, data.motion, steps=steps)
    for step, active, carry, now in chain_states(cues, long, orders, label, frozenset(steps)):
        found = [_warp_labels(label[None], flow) for flow in (carry.composed, now.long.direct)]
        composed, direct = (np.asarray(labels)[0] for labels, _ in found)
        said = active[np.asarray(now.cues.probs)[0].argmax(-1)]
        inside, left = np.asarray(found[1][1])[0] > 0.5, np.asarray(carry.age)[0] >= 0.5
        yield Said(step, composed, direct, said, inside, left)


def not_void(truth: np.ndarray, data: TrainingData) -> np.ndarray:
    """Class indices, -1 where void, too."""
    return np.where(np.append(data.known.classes.void, True)[truth], -1, truth)


def of_clip(data: TrainingData, clip: SimulatedClip) -> Iterator[Counts]:
    """Counts of a simulated clip, from its first frame."""
    order = range(len(clip.frames))
    for said in walk(data, clip_of(clip.frames), clip.cues, clip.labels[0], order, clip.steps):
        yield contest(said, not_void(clip.labels[said.step], data))


def of_gap(
    rng: np.random.Generator, data: TrainingData, clip: SimulatedClip, jitter: float
) -> Iterator[Counts]:
    """Counts of a simulated clip between its first and its last frame, both with a label."""
    last, frames = len(clip.frames) - 1, clip_of(clip.frames)
    label = redraw_boundaries(rng, clip.labels[last].astype(np.int16), jitter).astype(np.int32)
    back = [last - step for step in clip.steps]
    far = {
        last - said.step: said
        for said in walk(data, frames, clip.cues, label, range(last, -1, -1), back)
    }
    for near in walk(data, frames, clip.cues, clip.labels[0], range(last + 1), clip.steps):
        yield side_contest(near, far[near.step], not_void(clip.labels[near.step], data))


def of_video(data: TrainingData) -> Iterator[Counts]:
    """Counts of the windows, and of the gaps between their labelled frames."""
    source, known = data.source, data.known
    for window in data.windows:
        names = window_frames(window, source)
        clip, key = read_clip(source, window.sequence, names), names.index(window.key)
        cues = clip_cues(clip, data.motion, data.segment)
        label = known.label(window.sequence, window.key)
        for order in (range(key, len(names)), range(key, -1, -1)):
            for said in walk(data, clip, cues, label, order, range(1, len(order))):
                truth = source.label(window.sequence, names[order[said.step]])
                yield contest(said, not_void(truth, data))
    for one, two in itertools.pairwise(data.windows):
        if one.sequence != two.sequence:
            continue
        every = source.frame_names(one.sequence)
        names = every[every.index(one.key) : every.index(two.key) + 1]
        clip, last = read_clip(source, one.sequence, names), len(names) - 1
        cues = clip_cues(clip, data.motion, data.segment)
        labels = [known.label(one.sequence, key) for key in (one.key, two.key)]
        sides = [
            list(walk(data, clip, cues, label, order, range(1, last)))
            for label, order in zip(labels, (range(last + 1), range(last, -1, -1)), strict=True)
        ]
        for place in range(1, last):
            here = sides[0][place - 1], sides[1][last - place - 1]
            near, far = sorted(here, key=lambda said: said.step)
            truth = not_void(source.label(one.sequence, names[place]), data)
            yield side_contest(near, far, truth)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--workdir"):
        parser.add_argument(name, required=True)
    parser.add_argument("--stills", action="append", default=[])
    parser.add_argument("--clips", type=int, default=24, help="simulated, of either kind")
    parser.add_argument("--command", help="what is recorded as the command")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    config, source = Config(), open_source(parsed.data)
    windows = choose_windows(
        source, windows=parsed.windows, keyframes=None, key_every=0, horizon=10
    )
    known = KnownLabels(source, windows, [parse_stills(s) for s in parsed.stills])
    motion = build_motion(config.motion)
    segment = load_segmenter(parsed.workdir, config, source, windows, known)
    data = gather_training_data(known, source, windows, motion, segment)
    rng, jitter = np.random.default_rng(config.seed), config.refiner.jitter
    clips, gaps = (
        clip_maker(rng, data, SimulationOptions(steps=steps, jitter=jitter))
        for steps in (SimulationOptions.steps, _GAP)
    )
    simulated = total(
        counts
        for _ in range(parsed.clips)
        for part in (of_clip(data, clips()), of_gap(rng, data, gaps(), jitter))
        for counts in part
    )
    real = total(of_video(data))
    print("Right where motion and segmentation differ, in %: motion / segmentation")
    print(f"{'frames':8s}{'way back':20s}{'simulated':>24s}{'video':>24s}")
    found = {}
    for distance, place in itertools.product(DISTANCES, (*PLACES, BOTH_SIDES, ANYWHERE)):
        cells, row = [], {}
        for name, counts in (("simulated", simulated), ("video", real)):
            pixels, *right = counts[distance, place]
            share = [100 * r / max(int(pixels), 1) for r in right]
            row |= {f"{name} motion": share[0], f"{name} segmentation": share[1]}
            cells.append(f"{share[0]:5.1f} / {share[1]:4.1f} of {pixels:8d}")
        print(f"{distance[0]:2d}-{distance[1]:2d}   {place:20s}{cells[0]:>24s}{cells[1]:>24s}")
        found[f"{distance[0]}-{distance[1]} {place}"] = row
    if parsed.record:
        write_result(parsed.record, found, seeds=[config.seed], command=parsed.command, note=NOTE)


if __name__ == "__main__":
    main()
