"""The plan of a run: all that a run does, settled and checked before it writes anything."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import logging
from pathlib import Path
from typing import Any

from wrp_jax import interrupts
from wrp_jax.config import Config, check, inference_options
from wrp_jax.data import windows as window_lists
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import input_folder, open_source
from wrp_jax.data.sides import between_keyframes
from wrp_jax.data.source import VideoSource, partial_names, validate
from wrp_jax.data.split import split_sequences
from wrp_jax.data.tool_formats.imported import IMPORTED
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files import verify
from wrp_jax.files.failures import FAILURES_FILE
from wrp_jax.files.output import check_output, check_run, check_sequences, claim_output
from wrp_jax.files.records import fingerprint
from wrp_jax.files.regular import open_regular
from wrp_jax.files.shards import WHOLE, Shard
from wrp_jax.labelling.request import ALL, Request
from wrp_jax.propagation.methods import METHODS
from wrp_jax.quality.next_frames import NEXT_FRAMES_FILE
from wrp_jax.quality.table import QUALITY_FILE
from wrp_jax.types import UserError, Window

TRAINING = "training"
"""Folder of the output for networks that no workdir has."""
THRESHOLDS_FILE = "thresholds.csv"
CHANGED = "changed"
"""Folder of the output for labels that somebody has changed there, see ``KeptWindows.load``."""
RESERVED = frozenset(
    {
        *("methods", "tfds", IMPORTED, TRAINING, CHANGED, "metrics.json", "report.html"),
        *(FAILURES_FILE, QUALITY_FILE, NEXT_FRAMES_FILE, THRESHOLDS_FILE),
    }
)
"""Files and folders of the output that no sequence may be called."""
MAY_CHANGE = ("windows",)
"""Keys of ``run.json`` that differ from one run to the next into one output: labels are added,
corrected and removed, and their windows alone are made again."""
_FORMAT = 3
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WindowJob:
    """A window, and what is done with each of its frames. Frames go by their place in it.

    Attributes:
      number: of the window, in the order of the plan.
      window: its labelled frame or frames, and its ends.
      names: of its frames, in order.
      start: place of the first of them in the sequence.
      keys: the labelled frame, or two.
      further: labelled frames beyond those that have a say, too.
      between: first and last of the frames that are labelled, where there are further ones.
      owned: frames whose labels are written from this window and from no other, in order.
      scored: frames with a true label, the labelled ones left out, in order.
      partial: frames with a partial label, in order.
    """

    number: int
    window: Window
    names: tuple[str, ...]
    start: int
    keys: tuple[int, ...]
    owned: tuple[int, ...]
    scored: tuple[int, ...]
    partial: tuple[int, ...] = ()
    further: tuple[int, ...] = ()
    between: tuple[int, int] | None = None

    @property
    def part(self) -> dict[str, str]:
        """What names it in ``failures.jsonl``."""
        return {"sequence": self.window.sequence, "labelled": " and ".join(self.window.keys)}

    @property
    def labelled(self) -> range:
        """The frames that are labelled, ``keys`` among them."""
        first, last = self.between or (0, len(self.names) - 1)
        return range(min(first, *self.keys), max(last, *self.keys) + 1)

    def nearest(self, frame: int) -> int:
        """The labelled frame nearest to one; of two equally near ones the earlier."""
        return min(self.keys, key=lambda key: abs(key - frame))


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything a run is going to do.

    Attributes:
      config: all options.
      source: the video.
      jobs: one per window, in the order in which they are labelled.
      methods: that are run, the main one last.
      output: the folder to write.
      asked: labelled frames, and ends of listed windows, JSON values. Windows that follow from the
        frames may grow and shrink with the video.
      cut: ``--horizon``, or None.
      protocol: ``windows`` of a list, or frames labelled from ``both`` sides, from ``all`` labelled
        frames within reach, or from the ``nearest``.
      around: a window around each labelled frame, as training takes them.
      horizon: frames further than this from every labelled one are not labelled; None for
        windows of a list.
      shard: which of the jobs are this process's: ``own``.
      min_quality: expected mIoU in % below which frames are left out of ``tfds``; None: none are.
    """

    config: Config
    source: VideoSource
    jobs: tuple[WindowJob, ...]
    methods: tuple[str, ...]
    output: Path
    asked: tuple[Any, ...] = ()
    cut: int | None = None
    protocol: str = "windows"
    around: tuple[Window, ...] = ()
    horizon: int | None = None
    shard: Shard = WHOLE
    min_quality: float | None = None

    @functools.cached_property
    def parts(self) -> tuple[tuple[WindowJob, ...], ...]:
        """The jobs of each shard: whole sequences, with about as many frames for each shard.

        The same in whatever process, and made without opening a frame.
        """
        frames = collections.Counter[str]()
        for job in self.jobs:
            frames[job.window.sequence] += len(job.names)
        split = split_sequences(frames, self.shard.count)
        place = {sequence: i for i, sequences in enumerate(split) for sequence in sequences}
        parts: list[list[WindowJob]] = [[] for _ in split]
        for job in self.jobs:
            parts[place[job.window.sequence]].append(job)
        return tuple(map(tuple, parts))

    @property
    def own(self) -> tuple[WindowJob, ...]:
        """The jobs that this process does."""
        return self.parts[self.shard.index]

    @property
    def digest(self) -> str:
        """Of all jobs: those of all shards, in which they must agree."""
        return fingerprint([dataclasses.astuple(job) for job in self.jobs])

    @property
    def main(self) -> str:
        """The method whose labels are the result."""
        return self.methods[-1]

    @property
    def windows(self) -> tuple[Window, ...]:
        """Labelled frame and ends of every window."""
        return tuple(job.window for job in self.jobs)

    def known_labels(self) -> KnownLabels:
        """All labels that this run may use."""
        partial = {(job.window.sequence, job.names[i]) for job in self.jobs for i in job.partial}
        return KnownLabels(self.source, self.windows, partial=partial)

    def written(self) -> list[tuple[WindowJob, int]]:
        """Every frame whose label is written: its window, and its place there.

        In the order of the source; each frame once.
        """
        order = {sequence: place for place, sequence in enumerate(self.source.sequences)}
        frames = [(job, i) for job in self.jobs for i in job.owned]
        return sorted(frames, key=lambda f: (order[f[0].window.sequence], f[0].start + f[1]))

    def settings(self, networks_digest: str) -> dict[str, Any]:
        """What the files in the output depend on, as JSON."""
        options = dataclasses.asdict(self.config)
        settings = {
            "format": _FORMAT,
            "methods": self.methods,
            "classes": classes_to_json(self.source.classes),
            "protocol": self.protocol,
            "horizon": self.cut,
            "windows": self.asked,
            "motion": options["motion"],
            "propagation": options["propagation"],
            "recursive": options["refiner"]["recursive"],
            "networks": networks_digest,
        }
        if any(METHODS[name].segments or METHODS[name].refines for name in self.methods):
            settings |= inference_options(self.config.segmentation)
        if any(METHODS[name].refines for name in self.methods):
            settings["refiner.doubt"] = options["refiner"]["doubt"]
        return json.loads(json.dumps(settings))


def make_plan(config: Config, request: Request) -> Plan:
    """Settles what is to be done and checks all that is going to be read. Writes nothing.

    Raises:
      UserError: the first thing found wrong.
    """
    methods = check_request(request)
    check(config)
    source = open_source(request.data)
    check_output(request.output, input_folder(request.data))
    windows = window_lists.choose_windows(
        source,
        windows=request.windows,
        keyframes=request.keyframes,
        key_every=config.key_every,
        horizon=config.propagation.horizon,
        cut=request.horizon,
    )
    _check_names(source, windows, request.output)
    around, horizon, protocol = windows, None, "windows"
    if not request.windows:
        horizon = request.horizon or config.propagation.horizon
        protocol = config.propagation.sides
    if protocol in ("both", "all") and horizon is not None:
        windows = between_keyframes(windows, source, horizon, further=protocol == "all")
    partial = window_lists.choose_partial(source, request.keyframes)
    ends = ("first", "last") if request.windows else ()
    asked = [tuple(getattr(w, name) for name in ("sequence", "key", *ends)) for w in around]
    plan = Plan(
        config, source, jobs_of(source, windows, partial), methods, request.output, tuple(asked),
        request.horizon, protocol, around, horizon, request.shard, request.min_quality,
    )  # fmt: skip
    _check_files(plan)
    _tell_unused(plan, partial, request.keyframes)
    _tell_scored(plan, request.keyframes)
    return plan


def _check_quality(least: float | None, method: str) -> None:
    if least is None:
        return
    if not 0 <= least <= 100:
        raise UserError(f"--min_quality={least:g} must lie within 0 … 100: it is an mIoU in %.")
    if not METHODS[method].moves:
        raise UserError(
            f"--min_quality needs a method that moves labels, and {method} moves none: give "
            "another --method, or leave it out."
        )


def _check_files(plan: Plan) -> None:
    """Looks at the frames and labels that this process is going to read, and at no others."""
    sequences = {job.window.sequence for job in plan.own}
    labels = dict.fromkeys((w.sequence, w.key) for w in plan.around if w.sequence in sequences)
    for job in plan.own:
        labels |= dict.fromkeys((job.window.sequence, job.names[i]) for i in job.scored)
    validate(plan.source, [job.window for job in plan.own], labels)
    known = plan.known_labels()
    for sequence, name in {(job.window.sequence, job.names[i]): None
                           for job in plan.own for i in job.partial}:  # fmt: skip
        interrupts.check()
        known.partial_label(sequence, name)


def _tell_unused(
    plan: Plan, partial: frozenset[tuple[str, str]], keyframes: Path | str | None
) -> None:
    """Warns of partial labels that are not listed, or that no whole label lends the rest."""
    there = {(s, name) for s in plan.source.sequences for name in partial_names(plan.source, s)}
    reached = {(job.window.sequence, job.names[i]) for job in plan.jobs for i in job.partial}
    why = {
        f"{keyframes} does not name it: add a line for it": there - partial,
        "no whole label reaches it: label a frame near it as a whole, or give a larger --horizon":
            partial - reached,
    }  # fmt: skip
    for reason, frames in why.items():
        if frames:
            sequence, name = min(frames)
            more = f" (and {len(frames) - 1} more)" if len(frames) > 1 else ""
            _log.warning(
                "%s: the partial label of frame %s of %s%s is not used, because %s",
                plan.source.name, name, sequence, more, reason,
            )  # fmt: skip


def _tell_scored(plan: Plan, keyframes: Path | str | None) -> None:
    """Warns of whole labels that a list of labelled frames does not name."""
    if not keyframes:
        return
    listed = {(window.sequence, window.key) for window in plan.around}
    rest = {
        (job.window.sequence, job.names[i])
        for job in plan.jobs
        for i in job.scored
        if (job.window.sequence, job.names[i]) not in listed
    }
    if rest:
        sequence, name = min(rest)
        more = f" and of {len(rest) - 1} more" if len(rest) > 1 else ""
        _log.warning(
            "%s: the label of frame %s of %s%s is used for scores alone: %s does not name it",
            plan.source.name, name, sequence, more, keyframes,
        )  # fmt: skip


def check_request(request: Request) -> tuple[str, ...]:
    """Checks what can be told without the video; the methods, see ``chosen_methods``.

    Raises:
      UserError: the method is unknown, or the horizon, the quality or τ do not go with it; a list
        is not there.
    """
    methods = chosen_methods(request.method)
    if request.horizon is not None and request.horizon < 1:
        raise UserError(f"--horizon={request.horizon} must be at least 1.")
    for listed in filter(None, (request.windows, request.keyframes)):
        open_regular(listed).close()
    _check_quality(request.min_quality, methods[-1])
    if request.choose_tau:
        check_has_tau(methods)
    return methods


def check_has_tau(methods: tuple[str, ...]) -> None:
    """Refuses methods for which τ cannot be chosen, the main one last.

    Raises:
      UserError: none of them both moves labels and segments.
    """
    if not any(METHODS[method].segments and METHODS[method].moves for method in methods):
        raise UserError(
            f"--config.propagation.tau=auto: {methods[-1]} has no τ; give a number, or "
            "--method=warp-inpaint."
        )


def chosen_methods(method: str) -> tuple[str, ...]:
    """Methods that ``--method`` names, the main one last.

    Raises:
      UserError: there is no such method.
    """
    if method == ALL:
        return tuple(name for name, facts in METHODS.items() if not facts.by_name)
    if method not in METHODS:
        raise UserError(f"--method={method} is unknown: use {ALL} or one of {', '.join(METHODS)}.")
    return (method,)


def check_free(plan: Plan) -> None:
    """Refuses an output folder with files of others in the places of this run's own.

    Raises:
      UserError: there are such files, and no earlier run has made the folder its own.
    """
    own = (
        *("methods", "tfds", "metrics.json", "report.html"),
        *(QUALITY_FILE, NEXT_FRAMES_FILE, THRESHOLDS_FILE),
    )
    verify.check_free(plan.output, (*(w.sequence for w in plan.windows), *own))


def claim(plan: Plan, networks_digest: str) -> None:
    """Makes the output folder this run's own, before any label is written.

    Raises:
      UserError: it holds the results of other settings.
    """
    claim_output(plan.output, plan.settings(networks_digest), MAY_CHANGE)


def check_claimed(plan: Plan, networks_digest: str) -> bool:
    """Whether ``claim`` has been called for these windows; writes nothing.

    Raises:
      UserError: the output holds the results of other settings.
    """
    return check_run(plan.output, plan.settings(networks_digest), MAY_CHANGE)


def _check_names(source: VideoSource, windows: tuple[Window, ...], output: Path) -> None:
    """Names become files: none may lead elsewhere or into a folder of the output's own."""
    writer = LabelWriter(output, source.classes)
    sequences = tuple(dict.fromkeys(w.sequence for w in windows))
    check_sequences(source.name, sequences, RESERVED)
    for sequence in sequences:
        for name in source.frame_names(sequence):
            writer.label_path(sequence, name)


def jobs_of(
    source: VideoSource,
    windows: tuple[Window, ...],
    partial: frozenset[tuple[str, str]] = frozenset(),
) -> tuple[WindowJob, ...]:
    """What is done with the frames of each window.

    Args:
      source: the video.
      windows: in the order in which they are labelled.
      partial: ``(sequence, frame)`` of partial labels that count.
    """
    truth, owner = GroundTruth(source), window_lists.owners(windows, source)
    jobs = []
    for number, window in enumerate(windows):
        names = window_lists.seen_frames(window, source)
        first, last = names.index(window.first), names.index(window.last)
        keys = tuple(names.index(key) for key in window.keys)
        scored = set(truth.scored(window.sequence, window.keys, names))
        owned = tuple(i for i, n in enumerate(names) if owner.get((window.sequence, n)) == window)
        said = {*owned, *keys} if len(keys) == 2 else set(range(first, last + 1))
        jobs.append(
            WindowJob(
                number=number,
                window=window,
                names=names,
                start=source.frame_names(window.sequence).index(names[0]),
                keys=keys,
                owned=owned,
                scored=tuple(i for i, name in enumerate(names) if name in scored and i in said),
                partial=tuple(i for i in sorted(said) if (window.sequence, names[i]) in partial),
                further=tuple(names.index(key) for key in window.further),
                between=window_lists.labelled_between(window, names) if window.further else None,
            )
        )
    return tuple(jobs)
