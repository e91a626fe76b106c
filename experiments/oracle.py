"""What would a perfect chooser reach? ``python -m experiments.oracle``.

python -m experiments.oracle --data=D --windows=FILE --workdir=RUN

Scores every hypothesis alone, and choosers that pick a right one wherever there is one, on the
windows' own true labels. ``RUN`` is a workdir of ``train.py``.

Finding: 92 mIoU on CamVid with all nine hypotheses, where the trained chooser has 83 and motion
alone 77 (results/oracle.json).
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES, Hypotheses, guess
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.runs.segmentation import load_segmentation
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.training.refiner.chooser.chain_states import chain_states
from wrp_jax.types import Motion, Segment, Window

_MOTION = tuple(name for name in HYPOTHESES if name not in ("segmentation", "static"))
CHOOSERS = {
    "stepwise, segmentation": ("stepwise", "segmentation"),
    "all motion": _MOTION,
    "composed, lookup, segmentation": ("composed", "lookup", "segmentation"),
    "all": HYPOTHESES,
}
"""Hypotheses that each perfect chooser may pick from; where none is right it says the first."""

everywhere = jax.jit(guess)


def oracle(guesses: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Labels of a perfect chooser.

    Args:
      guesses: class indices ``[h, w, n]`` in the order of ``HYPOTHESES``.
      truth: class indices ``[h, w]``.
      names: hypotheses it may pick from.
    """
    offered = guesses[..., [HYPOTHESES.index(name) for name in names]]
    right = (offered == truth[..., None]).any(-1)
    return np.where(right, truth, offered[..., 0])


def scored_guesses(
    source: VideoSource, windows: Sequence[Window], motion: Motion, segment: Segment
) -> Iterator[tuple[int, np.ndarray, Hypotheses, np.ndarray]]:
    """Every frame of the windows that can be scored, with what each hypothesis says of it.

    Yields:
      Frames from the labelled one, active classes, hypotheses without the axis of the chains, and
      the truth as class indices.
    """
    known, truth = KnownLabels(source, windows), GroundTruth(source)
    for window in windows:
        names = window_frames(window, source)
        clip = read_clip(source, window.sequence, names)
        key = names.index(window.key)
        scored = truth.scored(window.sequence, window.keys, names)
        orders = window_orders(clip.count, key)
        cues = clip_cues(clip, motion, segment)
        states = chain_states(
            cues,
            long_flows(clip, cues, orders, motion),
            orders,
            known.label(window.sequence, window.key),
            frozenset(range(1, orders.shape[1])),
        )
        for step, active, carry, cues in states:
            host = jax.tree.map(np.asarray, everywhere(carry, cues))
            for b, order in enumerate(orders):
                frame = order[step]
                if frame == order[step - 1] or names[frame] not in scored:
                    continue
                one = Hypotheses(*(a[b] if a.ndim > 1 else a for a in host))
                yield step, active, one, truth.label(window.sequence, names[frame])


def score_hypotheses(
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    choosers: Mapping[str, Sequence[str]],
) -> tuple[dict[str, Any], float]:
    """Scores of every hypothesis, and of perfect choosers among some of them.

    Args:
      source: of the video.
      windows: whose frames are scored.
      motion: f_θ.
      segment: g_ψ.
      choosers: by name the hypotheses that a perfect chooser may pick from.

    Returns:
      `Evaluator.metrics` by hypothesis and by ``perfect: NAME``, and the share of the pixels on
      which hypotheses differ.
    """
    evaluator = Evaluator(source.classes)
    disputed, seen = 0, 0
    for step, active, hypotheses, true in scored_guesses(source, windows, motion, segment):
        guesses = active[np.asarray(hypotheses.votes).argmax(-1)]
        for i, name in enumerate(HYPOTHESES):
            evaluator.add(name, step, true, guesses[..., i])
        for name, offered in choosers.items():
            evaluator.add(f"perfect: {name}", step, true, oracle(guesses, true, offered))
        disputed += int((guesses != guesses[..., :1]).any(-1).sum())
        seen += true.size
    return evaluator.metrics(), disputed / max(seen, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints mIoU by distance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--workdir"):
        parser.add_argument(name, required=True)
    record_option(parser)
    parsed = parser.parse_args(arguments)
    config, source = Config(), open_source(parsed.data)
    windows = choose_windows(
        source, windows=parsed.windows, keyframes=None, key_every=0, horizon=10
    )
    motion = build_motion(config.motion)
    segment = functools.partial(
        segment_clip, *load_segmentation(parsed.workdir, config, source.classes)
    )
    metrics, disputed = score_hypotheses(source, windows, motion, segment, CHOOSERS)
    print(f"hypotheses differ on {100 * disputed:.1f} % of the pixels")
    for name, scores in metrics.items():
        curve = " ".join(f"{v:5.1f}" for v in scores["miou"].values())
        print(f"{name:42s} {curve}  mean {scores['mean']:5.1f}", flush=True)
    if parsed.record:
        found = {
            name.removeprefix("perfect: "): {**scores["miou"], "mean": scores["mean"]}
            for name, scores in metrics.items()
        }
        write_result(parsed.record, found, note="mIoU in %, by frames from the labelled one")


if __name__ == "__main__":
    main()
