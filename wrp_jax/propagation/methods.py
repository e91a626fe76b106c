"""The methods by name: every one turns a labelled frame and its window into labels."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.along_chains import along_chains
from wrp_jax.propagation.both_sides import fuse_sides, nearest_side
from wrp_jax.propagation.confidence import believable
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.partial import with_partial
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.voting.window import flow_voting
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import UNLABELLED, UserError


@runtime_checkable
class Refiner(Protocol):
    """Ω, trained and ready for use: ``StepRefiner`` (the paper's) or ``ChooserRefiner``."""

    def label(self, config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
        """Labels every frame of the window once from each labelled frame within reach.

        Labelled frames have their own label. Between two of them there is a posterior to decide
        from.
        """
        ...


class PlotStyle(NamedTuple):
    """How charts draw a method.

    Attributes:
      color: in CSS; the variables are those of the report, which follow its theme.
      dash: pattern of the line, as in SVG; empty for a solid one.
    """

    color: str
    dash: str = ""


class Method(NamedTuple):
    """A method, and everything that other parts of the program must know about it.

    Attributes:
      run: ``run(config, window, refiner)`` labels every frame of the window once, in any order;
        where labels move, once from each labelled frame within reach, as a ``Refiner`` does, or
        once where it ``decides``.
      style: how charts draw it.
      moves: whether it reads f_θ.
      segments: whether it reads g_ψ.
      refines: whether it needs Ω.
      moves_images: whether it can move the labelled frame's image along with the labels: joint
        image-label propagation (the paper, 4.1).
      decides: whether it says once what comes from all labelled frames together, and not what
        comes from each of them.
      by_name: whether it runs only where it is asked for by its name, not among ``all``.
    """

    run: Callable[[PropagationConfig, LabelledWindow, Refiner | None], Iterator[FramePrediction]]
    style: PlotStyle
    moves: bool = False
    segments: bool = False
    refines: bool = False
    moves_images: bool = False
    decides: bool = False
    by_name: bool = False


def _static(config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
    for frame in window.frames:
        yield window.key_frame(window.nearest(frame))._replace(frame=frame)


def _semantic(
    config: PropagationConfig, window: LabelledWindow, *, threshold: bool
) -> Iterator[FramePrediction]:
    void = window.classes.void_index
    frames, at_once = window.frames, frames_at_once(*window.size)
    for start in frames[::at_once]:
        for frame, probs in enumerate(
            window.cues.section(start, min(start + at_once, frames.stop)).probs, start
        ):
            key = window.nearest(frame)
            if frame == key.index:
                yield window.key_frame(key)
                continue
            labels = np.argmax(probs, axis=-1).astype(np.int32)
            confidence = np.max(probs, axis=-1).astype(np.float32)
            if threshold:
                unsure = confidence <= config.semantic_confidence
                labels[unsure] = UNLABELLED if void is None else void
            source = np.full(labels.shape, abs(frame - key.index), np.int32)
            yield FramePrediction(frame, labels, confidence, source, key=key.index)


def _motion_only(config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
    return along_chains(config, window, inpaint=False, move_images=config.move_images)


def _refined(
    config: PropagationConfig, window: LabelledWindow, refiner: Refiner | None
) -> Iterator[FramePrediction]:
    assert refiner is not None  # label_frames sees to it
    return refiner.label(config, window)


def _alone(
    run: Callable[[PropagationConfig, LabelledWindow], Iterator[FramePrediction]],
) -> Callable[[PropagationConfig, LabelledWindow, Refiner | None], Iterator[FramePrediction]]:
    """A method that reads no refiner."""
    return lambda config, window, refiner: run(config, window)


METHODS: dict[str, Method] = {
    "static": Method(_alone(_static), PlotStyle("var(--static)", "2 4")),
    "motion-only": Method(
        _alone(_motion_only), PlotStyle("var(--motion)", "10 3"), moves=True, moves_images=True
    ),
    "flow-voting": Method(
        _alone(flow_voting),
        PlotStyle("var(--votes)", "3 3"),
        moves=True,
        decides=True,
        by_name=True,
    ),
    "semantic-only": Method(
        _alone(functools.partial(_semantic, threshold=True)),
        PlotStyle("var(--semantic)", "7 3 2 3"),
        segments=True,
    ),
    "semantic-argmax": Method(
        _alone(functools.partial(_semantic, threshold=False)),
        PlotStyle("var(--argmax)", "6 4"),
        segments=True,
    ),
    "warp-inpaint": Method(
        _alone(functools.partial(along_chains, inpaint=True)),
        PlotStyle("var(--inpaint)", "14 4"),
        moves=True,
        segments=True,
    ),
    "warp-refine": Method(
        _refined, PlotStyle("var(--refine)"), moves=True, segments=True, refines=True
    ),
}
"""Methods by the name that ``--method`` and the Python API take."""


def label_frames(
    method: str,
    config: PropagationConfig,
    window: LabelledWindow,
    refiner: Refiner | None = None,
) -> Iterator[FramePrediction]:
    """Labels every frame of a window from its labelled frames, by any method.

    The only way to the labels of a window. Memory does not grow with the window, but for what
    its cues hold. Where motion carries labels between two labelled frames, a frame's label is
    decided from what comes from both, and from further ones that have a say (``fusion.py``); an
    image that is moved along comes from the nearest alone, and so do the labels then: the two must
    fit. Pixels that partial labels fix stay as they are (``partial.py``).

    Args:
      method: a key of ``METHODS``.
      config: the options of propagation.
      window: what is labelled, and what it is labelled from.
      refiner: Ω, for the methods that need one.

    Returns:
      Every frame within reach once, labelled ones with their own label; nearer frames come first
      where labels travel from one labelled frame. Where ``window.leave_out`` asks for it, methods
      that move labels say of each of two labelled frames, too, what comes from the other
      (``window.is_left_out``). By that the confidence of methods that segment, too, becomes the
      share of labels that was right, and frames between the two come last (``confidence.py``).

    Raises:
      UserError: the method is unknown, or there is no refiner where it needs one.
    """
    if method not in METHODS:
        raise UserError(f"method {method!r} is unknown: use one of {', '.join(METHODS)}.")
    if METHODS[method].refines and refiner is None:
        raise UserError(f"method {method!r} needs a trained refiner, and none is given.")
    facts = METHODS[method]
    said = facts.run(config, window, refiner)
    if facts.moves and not facts.decides and window.shared:
        if facts.moves_images and config.move_images:
            said = nearest_side(window, said)
        else:
            others = _from_further(facts, config, window, refiner)
            said = fuse_sides(window, itertools.chain(said, others), config.weight_per_frame)
    said = map(_at_most_one, said)
    if window.partial:
        said = with_partial(config, window, said, moves=facts.moves)
    # Motion alone states no probability: how far two sides agree is more than one side knows.
    return believable(window, said) if facts.moves and facts.segments else said


def _from_further(
    facts: Method, config: PropagationConfig, window: LabelledWindow, refiner: Refiner | None
) -> Iterator[FramePrediction]:
    """What labelled frames beyond the window's own say of its frames."""
    first, last = window.inner
    for others in window.further_pairs():
        for said in facts.run(config, others, refiner):
            if first <= said.frame <= last:
                yield said


def _at_most_one(said: FramePrediction) -> FramePrediction:
    """Sums of bilinear weights pass 1 by a rounding error."""
    return said._replace(confidence=np.clip(said.confidence, 0.0, 1.0))
