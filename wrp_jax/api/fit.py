"""Training: from a source, its specification, or arrays to a ``Model``."""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wrp_jax import processes
from wrp_jax.api.argument_names import naming_arguments
from wrp_jax.api.model import Model
from wrp_jax.config import Config, check
from wrp_jax.data.arrays import VIDEO, ArraySource, Labels
from wrp_jax.data.class_map import Classes
from wrp_jax.data.known_labels import FurtherFrame, KnownLabels, Stills, parse_stills
from wrp_jax.data.open_source import input_folder, open_source
from wrp_jax.data.source import VideoSource, validate
from wrp_jax.data.windows import choose_windows, whole_sequences
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import check_output
from wrp_jax.motion.build import reads_flow_files
from wrp_jax.motion.precomputed import check_flows
from wrp_jax.types import UserError, Window


@naming_arguments
def fit(
    video: Any,
    labels: Labels = None,
    classes: Classes = None,
    *,
    config: Config | None = None,
    workdir: str | os.PathLike | None = None,
    windows: str | os.PathLike | Sequence[Window] | None = None,
    keyframes: str | os.PathLike | None = None,
    stills: Sequence[str | Stills] = (),
    update: int = 0,
) -> Model:
    """Trains what ``config.stages`` names, from a few labelled frames and the video around them.

    Args:
      video: a ``VideoSource``; what ``open_source`` takes (a folder, ``tfds:…``,
        ``synthetic:…``); an export of an annotation tool, which is imported to
        ``workdir/imported``; or a clip as ``Model.propagate`` takes it: uint8 RGB ``[n, h, w, 3]``,
        or a sequence of frames. None where stills are all there is.
      labels: of a clip: by index of a frame, the ids of the classes, ``[h, w]``.
      classes: of a clip: see ``class_map``.
      config: all options; the defaults (those of ``configs/folder.py``) if None.
      workdir: where the networks, their checkpoints and the log go. The same call goes on where
        it was stopped; what is trained is not trained again. None: a temporary folder, which
        goes with the model.
      windows: a list for ``read_windows``, or windows: their labelled frames are known, all
        others are not looked at.
      keyframes: a list of labelled frames; every labelled frame if None.
      stills: labelled frames without video around them: ``ROOT:LIST``, where ROOT may be an export
        too (``workdir/imported_stills``), or a source and ``(sequence, frame)`` of the frames.
      update: steps for which the segmentation network of the workdir, which is finished, is trained
        on with the labels that there are now; the result stands in ``workdir/updates``. 0: the
        stages are trained.

    Returns:
      The trained model.

    Raises:
      UserError: the first thing found wrong with data, options or workdir; nothing has been
        trained then.

    Reference: Ganeshan et al., ICCV 2021, section 3.4, and docs/REFINER.md.

    Example:
      >>> model = fit(frames, {10: label}, ["road", "car"])  # doctest: +SKIP
      >>> model = fit("D", workdir="RUN")  # doctest: +SKIP
    """
    from wrp_jax.training.stages import check_stages, reads_labels
    from wrp_jax.training.update import check_update

    config = copy.deepcopy(config) if config is not None else Config()
    check(config)
    check_stages(config, workdir)
    labelled = reads_labels(config.stages)
    if update:
        if workdir is None:
            raise UserError("workdir is missing: an update goes on from a finished run.")
        check_update(config, update)
    if video is None and not stills:
        raise UserError("there is nothing to train from: give a video, or stills.")
    if video is None and tuple(config.stages) != ("segmentation",):
        raise UserError(
            f"video is None: the stages {', '.join(config.stages)} look at video; stills alone "
            "train config.stages=('segmentation',)."
        )
    with contextlib.ExitStack() as stack:
        if isinstance(video, str | os.PathLike) and labels is None and classes is None:
            imported = _imported(os.fspath(video), workdir, labelled=labelled)
            video = processes.first(lambda: stack.enter_context(imported))
        known_stills = [
            _stills(still, number, workdir, stack) if isinstance(still, str) else still
            for number, still in enumerate(stills, 1)
        ]
        source = None if video is None else _source(video, labels, classes, labelled)
        return _fit(source, config, workdir, windows, keyframes, known_stills, update)


def _fit(
    video: VideoSource | None,
    config: Config,
    workdir: str | os.PathLike | None,
    windows: str | os.PathLike | Sequence[Window] | None,
    keyframes: str | os.PathLike | None,
    known_stills: Sequence[Stills],
    update: int,
) -> Model:
    """As ``fit``, of a source that is open."""
    from wrp_jax.training.stages import reads_labels, run_stages
    from wrp_jax.training.update import update_run

    source = known_stills[0][0] if video is None else video
    labelled = reads_labels(config.stages)
    if workdir is not None:
        inputs = (source.name, *(still.name for still, _ in known_stills))
        check_output(Path(workdir), *(input_folder(name) for name in inputs))
    extents: tuple[Window, ...] = ()  # of the windows
    if video is not None and labelled:
        extents = _windows(source, config, windows, keyframes)
        validate(source, extents)
    elif video is not None:
        validate(source, whole_sequences(source), labels=())
    if video is not None and reads_flow_files(config.motion):
        check_flows(Path(config.motion.folder), source, extents or whole_sequences(source))
    known = KnownLabels(source, extents, known_stills, _further(config, source, extents))
    if workdir is None:
        folder = Path(processes.first(lambda: tempfile.mkdtemp(prefix="wrp_jax_")))
    else:
        folder = Path(workdir)
    try:
        with contextlib.ExitStack() as stack:
            processes.first(lambda: _enter(stack, sole_writer(folder, "workdir")))
            if update:
                folder = update_run(config, known, source, extents, folder, update)
            else:
                run_stages(config, known, source, extents, folder)
    except BaseException:
        if workdir is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return Model(config, known.classes, folder, temporary=workdir is None)


def _further(
    config: Config, source: VideoSource, windows: Sequence[Window]
) -> tuple[FurtherFrame, ...]:
    """What a student learns from beside the labelled frames."""
    if "student" not in config.stages:
        return ()
    from wrp_jax.training.segmentation.student import further_frames

    return further_frames(config, source, windows)


@contextlib.contextmanager
def _imported(video: str, workdir: str | os.PathLike | None, *, labelled: bool) -> Iterator[str]:
    """What to open: of an export its import, in the workdir or in a folder that goes again."""
    from wrp_jax.data.tool_formats.imported import imported

    with (
        _home_of_imports(workdir) as home,
        imported(video, home, labelled=labelled, flag="--workdir", say=processes.say) as source,
    ):
        yield source


def _stills(
    spec: str, number: int, workdir: str | os.PathLike | None, stack: contextlib.ExitStack
) -> Stills:
    """Opens stills, of an export its import, which lasts as long as the stack."""

    def enter() -> str:
        from wrp_jax.data.tool_formats.imported import IMPORTED_STILLS, imported_list

        home = stack.enter_context(_home_of_imports(workdir))
        name = IMPORTED_STILLS + (f"_{number}" if number > 1 else "")
        return stack.enter_context(
            imported_list(spec, home, name, flag="--workdir", say=processes.say)
        )

    return parse_stills(processes.first(enter))


@contextlib.contextmanager
def _home_of_imports(workdir: str | os.PathLike | None) -> Iterator[Path]:
    if workdir is not None:
        yield Path(workdir)
        return
    with tempfile.TemporaryDirectory(prefix="wrp_jax_import_") as folder:
        yield Path(folder)


def _enter(stack: contextlib.ExitStack, context: contextlib.AbstractContextManager[None]) -> None:
    stack.enter_context(context)


def _source(
    video: Any,
    labels: Labels,
    classes: Classes,
    labelled: bool,
) -> VideoSource:
    if isinstance(video, str | os.PathLike | VideoSource):
        if labels is not None or classes is not None:
            raise UserError(
                "labels and classes belong to a clip of arrays: a source has its own; leave them "
                "out."
            )
        if isinstance(video, VideoSource):
            return video
        return open_source(os.fspath(video), labelled=labelled)
    if labelled and not labels:
        raise UserError("labels is missing: give {index of a frame: label} of at least one frame.")
    if labels and classes is None:
        raise UserError("classes is missing: give the names of the classes, or {id: name}.")
    return ArraySource({VIDEO: (video, labels or {})}, classes)


def _windows(
    source: VideoSource,
    config: Config,
    windows: str | os.PathLike | Sequence[Window] | None,
    keyframes: str | os.PathLike | None,
) -> tuple[Window, ...]:
    if windows is not None and not isinstance(windows, str | os.PathLike):
        return tuple(windows)
    return choose_windows(
        source,
        windows=os.fspath(windows) if windows else None,
        keyframes=os.fspath(keyframes) if keyframes else None,
        key_every=config.key_every,
        horizon=config.propagation.horizon,
    )
