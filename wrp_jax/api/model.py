"""A trained model over arrays: labels of a clip from a few labelled frames of it."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from wrp_jax.api.argument_names import naming_arguments
from wrp_jax.api.results import FrameLabels, VideoLabels, collect
from wrp_jax.config import Config, check
from wrp_jax.data.arrays import VIDEO, ArraySource, Frames, Labels
from wrp_jax.data.class_map import Classes, class_map
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import indices_to_ids
from wrp_jax.data.sides import between_keyframes
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import (
    labelled_between,
    owners,
    seen_frames,
    whole_sequences,
    windows_of_keyframes,
)
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.runs.networks import Networks, load_networks, needs_training
from wrp_jax.runs.results import REFINER, SEGMENTATION, STUDENT, result_path
from wrp_jax.runs.stored_config import read_run
from wrp_jax.types import ClassMap, Clip, UserError, Window

_UNFINISHED: weakref.WeakSet[Generator[FrameLabels, None, None]] = weakref.WeakSet()


@atexit.register
def _close_unfinished() -> None:
    """Removes the files of clips that nobody asked for to the end, while Python still can."""
    for labels in tuple(_UNFINISHED):
        with contextlib.suppress(ValueError):  # another thread is inside
            labels.close()


class Model:
    """Networks of a run, ready to label video. ``fit`` and ``load`` make one.

    Networks are read when a method first needs them, and kept. It works in one process, on all of
    its devices; ``wrp propagate`` shares many videos between processes (docs/POD.md).

    Attributes:
      config: all options. Those of ``propagation`` and of inference may be changed at any time.
      classes: of the labels that it takes and gives.
      workdir: where its networks lie; None for methods that need none.
    """

    def __init__(
        self,
        config: Config,
        classes: ClassMap,
        workdir: Path | None = None,
        *,
        temporary: bool = False,
    ):
        """Reads nothing yet.

        Args:
          config: all options.
          classes: of the labels.
          workdir: where the networks lie, if there is one.
          temporary: whether the workdir goes with the model.
        """
        self.config, self.classes, self.workdir = config, classes, workdir
        if temporary and workdir is not None:
            weakref.finalize(self, shutil.rmtree, workdir, ignore_errors=True)
        self._networks: dict[str, Networks] = {}

    def __repr__(self) -> str:
        return (
            f"Model({self.classes.num_classes} classes, methods {', '.join(self.methods)}, "
            f"workdir={str(self.workdir) if self.workdir else None!r})"
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that this model can run."""
        return tuple(name for name in METHODS if not self._missing(name))

    @naming_arguments
    def propagate(
        self,
        frames: Frames,
        labels: Labels,
        *,
        method: str = "warp-refine",
        horizon: int | float | None = None,
    ) -> Iterator[FrameLabels]:
        """Carries the labels of a few frames to the frames around them, one by one.

        Each frame gets its labels from the labelled one before it and the one after it together,
        from all within reach, or from the nearest alone (``config.propagation.sides``). Memory does
        not grow with the clip, if ``frames`` reads them on demand.

        Args:
          frames: a clip: uint8 RGB ``[n, h, w, 3]``, or a sequence of uint8 ``[h, w, 3]``, which
            may read a frame when it is asked for one. (OpenCV reads BGR: ``frame[..., ::-1]``.)
          labels: by index of a frame, the ids of the classes, any integer type, ``[h, w]``.
          method: one of ``model.methods``.
          horizon: frames further than this from every labelled one are left out;
            ``config.propagation.horizon`` if None.

        Returns:
          An iterator over the frames, each once: labelled ones before those that are labelled
          from them, with their own label. ``collect`` puts them in order.

        Raises:
          UserError: at once, not when the first frame is asked for: frames or labels of a wrong
            type, shape or size; an index or an id that does not exist; no label; a method that
            does not exist or needs what this model does not have.

        Reference: Ganeshan et al., ICCV 2021; the methods are those of ``METHODS``.
        """
        source = ArraySource({VIDEO: (frames, labels)}, self.classes)
        reach = self.config.propagation.horizon if horizon is None else horizon
        if isinstance(reach, bool) or not isinstance(reach, int | np.integer) or reach < 1:
            raise UserError(f"horizon is {horizon!r}: give a whole number of frames from 1 on.")
        if not labels:
            raise UserError("labels is empty: give the label of at least one frame.")
        if len(source.frame_names(VIDEO)) < 2:
            raise UserError("frames has one frame only: there is nothing to propagate to.")
        self._check_method(method)
        windows = windows_of_keyframes(source, None, int(reach))
        sides = self.config.propagation.sides
        if sides != "nearest":
            windows = between_keyframes(windows, source, int(reach), further=sides == "all")
        return self._label(source, windows, method)

    @naming_arguments
    def segment(self, frames: Frames) -> Iterator[FrameLabels]:
        """What segmentation says of each frame by itself; no frame need be labelled.

        Args:
          frames: see ``propagate``.

        Returns:
          An iterator over the frames in order: the likeliest class and its probability.

        Raises:
          UserError: wrong frames, or a model without a segmentation network.
        """
        source = ArraySource({VIDEO: (frames, {})}, self.classes)
        self._check_method("semantic-argmax")
        return self._segment(source)

    def networks(
        self, methods: Sequence[str], source: VideoSource, windows: Sequence[Window]
    ) -> Networks:
        """What the methods read, for these windows of a video.

        Raises:
          UserError: as ``runs.networks.load_networks``.
        """
        return load_networks(self.config, methods, source, windows, self.workdir)

    def _label(
        self, source: ArraySource, windows: Sequence[Window], method: str
    ) -> Iterator[FrameLabels]:
        networks = self._kept_networks(method, source, windows)
        known, owner = KnownLabels(source, windows), owners(windows, source)

        def run() -> Generator[FrameLabels, None, None]:
            with tempfile.TemporaryDirectory(prefix="wrp_jax_") as scratch:
                for window in windows:
                    asked = *window.keys, *window.further
                    given = {key: known.label(VIDEO, key) for key in asked}
                    for said in self._label_window(
                        source, window, given, method, networks, Path(scratch)
                    ):
                        if owner.get((VIDEO, source.frame_names(VIDEO)[said.frame])) == window:
                            yield said

        _UNFINISHED.add(labels := run())
        return labels

    def _label_window(
        self,
        source: ArraySource,
        window: Window,
        labels: Mapping[str, Int[np.ndarray, "h w"]],
        method: str,
        networks: Networks,
        scratch: Path,
    ) -> Iterator[FrameLabels]:
        names = seen_frames(window, source)
        first = int(names[0])
        clip = Clip(len(names), lambda i: source.frame(VIDEO, names[i]), VIDEO, names)
        options = self.config.propagation
        keys, further = (
            [Keyframe(int(name) - first, labels[name]) for name in given]
            for given in (window.keys, window.further)
        )
        between = labelled_between(window, names) if further else None
        facts = METHODS[method]
        with networks.open_window(
            clip, keys, self.classes, scratch, window.reach,
            leave_out=facts.moves and facts.segments, further=further, between=between,
        ) as opened:  # fmt: skip
            for said in label_frames(method, options, opened, networks.refiner):
                if opened.is_left_out(said):
                    continue
                yield FrameLabels(
                    frame=first + said.frame,
                    labels=indices_to_ids(said.labels, self.classes),
                    confidence=said.confidence,
                    key=first + opened.nearest(said.frame).index,
                    steps=said.source,
                    image=said.image_bytes(),
                )

    def _segment(self, source: ArraySource) -> Iterator[FrameLabels]:
        networks = self._kept_networks("semantic-argmax", source, whole_sequences(source))
        names = source.frame_names(VIDEO)
        clip = Clip(len(names), lambda i: source.frame(VIDEO, names[i]), VIDEO, names)

        def run() -> Iterator[FrameLabels]:
            assert networks.segment is not None  # _check_method sees to it
            for start in range(0, len(names), networks.at_once):
                part = range(start, min(start + networks.at_once, len(names)))
                probs, _ = networks.segment(clip, part)
                for i, said in enumerate(np.asarray(probs), start):
                    labels = indices_to_ids(said.argmax(-1), self.classes)
                    sure = np.clip(said.max(-1), 0.0, 1.0).astype(np.float32)
                    yield FrameLabels(i, labels, sure)

        return run()

    def _kept_networks(
        self, method: str, source: ArraySource, windows: Sequence[Window]
    ) -> Networks:
        """Networks of an earlier call, where nothing that they were made from has changed."""
        if self.config.segmentation.name == "precomputed":
            return self.networks([method], source, windows)  # of this clip alone
        facts = METHODS[method]._replace(run=None, style=None)  # type: ignore[arg-type]
        options = dataclasses.asdict(self.config)
        del options["propagation"]
        key = json.dumps([facts, options], default=str)
        if key not in self._networks:
            self._networks[key] = self.networks([method], source, windows)
        return self._networks[key]

    def _check_method(self, method: str) -> None:
        check(self.config)
        if method not in METHODS:
            raise UserError(f"method {method!r} is unknown: use one of {', '.join(METHODS)}.")
        missing = self._missing(method)
        if missing:
            others = f"use one of {', '.join(self.methods)}"
            stopped = self.workdir is not None and self._unfinished()
            raise UserError(
                f"method {method!r} needs {missing}; the training in {self.workdir} was stopped "
                f"before it was there: go on with the same call or command, or {others}."
                if stopped
                else f"method {method!r} needs {missing}, which this model does not have: "
                f"{others}, or train it (wrp_jax.fit)."
            )

    def _missing(self, method: str) -> str:
        """What a method needs and the model lacks; empty where it has everything."""
        facts = METHODS[method]
        untrained = needs_training(["semantic-argmax"], self.config.segmentation)
        if facts.segments and untrained and not any(map(self._trained, (SEGMENTATION, STUDENT))):
            return "a trained segmentation network"
        return "a trained refiner" if facts.refines and not self._trained(REFINER) else ""

    def _trained(self, stage: str) -> bool:
        return self.workdir is not None and result_path(self.workdir, stage).exists()

    def _unfinished(self) -> bool:
        """Whether a stage that was asked for has left no result."""
        return not all(map(self._trained, self.config.stages))


@naming_arguments
def load(run: str | os.PathLike, config: Config | None = None) -> Model:
    """Opens what ``fit`` or ``train.py`` trained.

    Args:
      run: the workdir.
      config: all options; those that it was trained with if None. Give one to change what is
        asked of the networks, or for a run of an earlier version.

    Returns:
      The model, with the classes of the run.

    Raises:
      UserError: there is no such run, or its files cannot be read.

    Example:
      >>> model = load("RUN")  # doctest: +SKIP
      >>> for frame in model.propagate(frames, {10: label}):  # doctest: +SKIP
      ...     print(frame.frame, frame.labels.shape, frame.confidence.mean())
    """
    folder = Path(run)
    trained_with, classes = read_run(folder, needs_config=config is None)
    return Model(trained_with if config is None else config, classes, folder)


@naming_arguments
def propagate(
    frames: Frames,
    labels: Labels,
    classes: Classes,
    *,
    method: str = "motion-only",
    horizon: int | float | None = None,
    config: Config | None = None,
) -> VideoLabels:
    """Labels a clip from a few labelled frames of it, without training: by motion alone.

    Args:
      frames: uint8 RGB ``[n, h, w, 3]``, or a sequence of uint8 ``[h, w, 3]``.
      labels: by index of a frame, the ids of the classes, any integer type, ``[h, w]``.
      classes: see ``class_map``: names, ``{id: name}``, a ``classes.json`` or a ``ClassMap``.
      method: ``motion-only`` or ``static``; the others where ``config`` names published weights
        (``config.segmentation.weights``).
      horizon: frames further than this from every labelled one are left out; none if None.
      config: all options; the defaults if None. ``config.motion.name`` chooses the motion.

    Returns:
      Labels of all frames (of those within the horizon), ids in the user's own; the labelled
      ones keep theirs, with confidence 1.

    Raises:
      UserError: as ``Model.propagate``.

    Example:
      >>> frames = np.zeros((3, 8, 8, 3), np.uint8)
      >>> label = np.full((8, 8), 7)
      >>> label[:, 4:] = 26
      >>> result = propagate(frames, {0: label}, {7: "road", 26: "car"}, method="static")
      >>> result.labels.shape, result.labels[2, 0].tolist()
      ((3, 8, 8), [7, 7, 7, 7, 26, 26, 26, 26])
    """
    options = Config(stages=()) if config is None else config
    model = Model(options, class_map(classes))
    reach = max(len(frames), 1) if horizon is None and hasattr(frames, "__len__") else horizon
    return collect(model.propagate(frames, labels, method=method, horizon=reach))
