"""The motion and the trained networks that a run's methods need."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from wrp_jax.config import Config, SegmentationConfig
from wrp_jax.data.source import VideoSource
from wrp_jax.files.regular import MAX_BYTES, sha256
from wrp_jax.files.strict_json import read_json
from wrp_jax.models.refine.pix2pix import refine_labels
from wrp_jax.motion.build import motion_digest
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.along_chains import StepRefiner
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, Refiner
from wrp_jax.propagation.window_cues import StoredCues
from wrp_jax.runs.results import result_path
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.types import ClassMap, Clip, Motion, Segment, UserError, Window

_log = logging.getLogger(__name__)


class Networks(NamedTuple):
    """What the methods of a run are given.

    Attributes:
      motion: f_θ.
      segment: g_ψ, or None where no method reads it.
      refiner: Ω, or None where there is none, or no method needs it.
      digest: of the weights and of precomputed flow; empty without any.
      trained_on: ``"<sequence> <frame>"`` of the labelled frames they were trained on.
      at_once: frames that are handed to ``segment`` together.
    """

    motion: Motion
    segment: Segment | None
    refiner: Refiner | None
    digest: str
    trained_on: frozenset[str] = frozenset()
    at_once: int = 4

    @contextlib.contextmanager
    def open_window(
        self,
        clip: Clip,
        keys: Sequence[Keyframe],
        classes: ClassMap,
        scratch: Path,
        reach: int | None = None,
        *,
        leave_out: bool = False,
        partial: Sequence[Keyframe] = (),
        further: Sequence[Keyframe] = (),
        between: tuple[int, int] | None = None,
    ) -> Iterator[LabelledWindow]:
        """A window as the methods take it; its cues are made once, for all of them.

        Args:
          clip: the frames.
          keys: the labelled one, or the two at the ends.
          classes: of the data set.
          scratch: folder for the cues while the window is open; made if missing.
          reach: of ``LabelledWindow``.
          leave_out: of ``LabelledWindow``.
          partial: of ``LabelledWindow``.
          further: of ``LabelledWindow``.
          between: of ``LabelledWindow``.
        """
        with StoredCues(scratch, clip, self.motion, self.segment, self.at_once) as cues:
            yield LabelledWindow(
                cues, tuple(keys), classes, self.motion, reach, scratch, leave_out, tuple(partial),
                tuple(further), between,
            )  # fmt: skip


def moves(methods: Sequence[str]) -> bool:
    """Whether any of the methods looks at motion."""
    return any(METHODS[name].moves for name in methods)


def needs_training(methods: Sequence[str], options: SegmentationConfig) -> bool:
    """Whether any of the methods reads a network that ``train.py`` is to make first."""
    there = options.weights or options.name == PRECOMPUTED
    segments = any(METHODS[name].segments for name in methods) and not there
    return segments or any(METHODS[name].refines for name in methods)


def stages_to_train(methods: Sequence[str], config: Config) -> tuple[str, ...]:
    """Stages of the config whose results the methods read."""
    if any(METHODS[name].refines for name in methods):
        return tuple(config.stages)
    wanted = {"segmentation"} if needs_training(methods, config.segmentation) else set()
    if moves(methods):
        wanted.add("motion")
    return tuple(stage for stage in config.stages if stage in wanted)


def load_networks(
    config: Config,
    methods: Sequence[str],
    source: VideoSource,
    windows: Sequence[Window],
    workdir: Path | None,
) -> Networks:
    """Builds the motion and loads the weights, as far as the methods need them.

    Args:
      config: all options.
      methods: that will run.
      source: the video.
      windows: what will be labelled.
      workdir: of ``train.py``, where one is needed.

    Raises:
      UserError: no workdir where one is needed, a stage that is not trained, damaged weights,
        or weights of other classes; predictions that are missing or broken.
    """
    from wrp_jax.runs.motion import motion_of

    still = not moves(methods)
    motion = zero_motion() if still else motion_of(config, workdir)
    read = "" if still else motion_digest(config.motion)
    parts = [read.encode()] if read else []
    if workdir is not None and "motion" in config.stages and not still:
        parts.append(sha256(result_path(workdir, "motion")))
    if not any(METHODS[name].segments or METHODS[name].refines for name in methods):
        tell_missing(config)
        return Networks(motion, None, None, _digest(parts))
    if workdir is None and needs_training(methods, config.segmentation):
        trained = [name for name in methods if needs_training([name], config.segmentation)]
        raise UserError(
            f"--workdir is missing: {', '.join(trained)} need what train.py made there "
            "(--method=motion-only needs nothing)."
        )
    from wrp_jax.runs.segmentation import load_segmenter, segmenter_digest

    refines = any(METHODS[name].refines for name in methods)
    segment = load_segmenter(workdir, config, source, windows, keep_features=refines)
    parts.append(segmenter_digest(workdir, config, source))
    refiner, trained_on = None, frozenset()
    if workdir is not None:
        trained_on = _trained_on(workdir)
        if refines:
            refiner = _load_refiner(config, source.classes, workdir)
            parts.append(sha256(result_path(workdir, "refiner")))
    tell_missing(config)
    digest, at_once = _digest(parts), 4 * jax.local_device_count()
    return Networks(motion, segment, refiner, digest, trained_on, at_once)


def tell_missing(config: Config) -> None:
    """Warns of weights that are not there; to be called where all that is needed has been read."""
    for name in ("motion.weights", "motion.flow_weights", "segmentation.weights"):
        path = operator.attrgetter(name)(config)
        if path and not os.path.exists(path):
            _log.warning(
                "--config.%s=%s is not there; nothing reads it here: correct it, or leave it out",
                name, path,
            )  # fmt: skip


def _digest(parts: Sequence[bytes]) -> str:
    """Of all that weights and predictions were read from; empty without any."""
    return hashlib.sha256(b"".join(parts)).hexdigest() if parts else ""


def _load_refiner(config: Config, classes: ClassMap, workdir: Path) -> Refiner:
    """A chooser works on windows with hypotheses of its own; the paper's Ω inside the steps."""
    from wrp_jax.propagation.chooser.choose import doubt_of
    from wrp_jax.propagation.chooser.window import ChooserRefiner
    from wrp_jax.runs.refiner import load_refiner

    network, variables, tau, expected = load_refiner(workdir, config, classes)
    recursive = config.refiner.recursive
    if config.refiner.name == "pix2pix":
        apply = jax.tree_util.Partial(functools.partial(refine_labels, network), variables)
        return StepRefiner(apply, recursive, tau)
    assert expected is not None  # load_refiner sees to it
    return ChooserRefiner(network, variables, expected, recursive, doubt_of(config.refiner.doubt))


def _trained_on(workdir: Path) -> frozenset[str]:
    """What ``training.stages`` notes in ``labels.json``; empty where there is no such note."""
    try:
        return frozenset(read_json(workdir / "labels.json", limit=MAX_BYTES)["frames"])
    except (UserError, ValueError, KeyError, TypeError):
        return frozenset()
