"""The plan of a run: all that a run does, settled and checked before it writes anything."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrp_jax.config import Config, check, inference_options
from wrp_jax.data import windows as window_lists
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import input_folder, open_source
from wrp_jax.data.source import VideoSource, validate
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.output import RUN_FILE, check_output, check_sequences, claim_output
from wrp_jax.labelling.request import ALL, Request
from wrp_jax.propagation.methods import METHODS
from wrp_jax.types import UserError, Window

RESERVED = frozenset(
    {"methods", "tfds", "training", "metrics.json", "report.html", "failures.jsonl"}
)
"""Files and folders of the output that no sequence may be called."""
_SHOWN_WINDOWS = 3
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything a run is going to do.

    Attributes:
      config: all options.
      source: the video.
      windows: in the order in which they are labelled.
      owner: the window from which each frame's label is written, by (sequence, frame).
      methods: that are run, the main one last.
      output: the folder to write.
      shown: numbers of the windows that the report shows in pictures.
    """

    config: Config
    source: VideoSource
    windows: tuple[Window, ...]
    owner: Mapping[tuple[str, str], Window]
    methods: tuple[str, ...]
    output: Path
    shown: frozenset[int]

    @property
    def main(self) -> str:
        """The method whose labels are the result."""
        return self.methods[-1]

    def frames(self, window: Window) -> tuple[str, ...]:
        """Names of the frames of a window."""
        return window_lists.window_frames(window, self.source)

    def settings(self, networks_digest: str) -> dict[str, Any]:
        """What the files in the output depend on, as JSON."""
        options = dataclasses.asdict(self.config)
        settings = {
            "format": _FORMAT,
            "methods": self.methods,
            "classes": classes_to_json(self.source.classes),
            "windows": [dataclasses.astuple(window) for window in self.windows],
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
    methods = chosen_methods(request.method)
    check(config)
    if request.horizon is not None and request.horizon < 1:
        raise UserError(f"--horizon={request.horizon} must be at least 1.")
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
    truth = GroundTruth(source)
    labels = dict.fromkeys((w.sequence, w.key) for w in windows)
    for window in windows:
        names = window_lists.window_frames(window, source)
        scored = truth.scored(window.sequence, window.key, names)
        labels |= dict.fromkeys((window.sequence, name) for name in scored)
    validate(source, windows, labels)
    return Plan(
        config=config,
        source=source,
        windows=windows,
        owner=window_lists.owners(windows, source),
        methods=methods,
        output=request.output,
        shown=_shown(windows),
    )


def chosen_methods(method: str) -> tuple[str, ...]:
    """Methods that ``--method`` names, the main one last.

    Raises:
      UserError: there is no such method.
    """
    if method == ALL:
        return tuple(METHODS)
    if method not in METHODS:
        raise UserError(f"--method={method} is unknown: use {ALL} or one of {', '.join(METHODS)}.")
    return (method,)


def check_free(plan: Plan) -> None:
    """Refuses an output folder with files of others in the places of this run's own.

    Raises:
      UserError: there are such files, and no earlier run has made the folder its own.
    """
    if (plan.output / RUN_FILE).exists():
        return
    ours = [plan.output / sequence for sequence in dict.fromkeys(w.sequence for w in plan.windows)]
    ours += [plan.output / name for name in ("methods", "tfds", "metrics.json", "report.html")]
    for path in ours:
        if path.exists():
            raise UserError(
                f"{path} is there already and not of an earlier run: give another --output."
            )


def claim(plan: Plan, networks_digest: str) -> None:
    """Makes the output folder this run's own, before any label is written.

    Raises:
      UserError: it holds the results of other settings.
    """
    claim_output(plan.output, plan.settings(networks_digest))


def _check_names(source: VideoSource, windows: tuple[Window, ...], output: Path) -> None:
    """Names become files: none may lead elsewhere or into a folder of the output's own."""
    writer = LabelWriter(output, source.classes)
    sequences = tuple(dict.fromkeys(w.sequence for w in windows))
    check_sequences(source.name, sequences, RESERVED)
    for sequence in sequences:
        for name in source.frame_names(sequence):
            writer.label_path(sequence, name)


def _shown(windows: tuple[Window, ...]) -> frozenset[int]:
    """A few windows, of different sequences if there are several."""
    first_of = {}
    for number, window in enumerate(windows):
        first_of.setdefault(window.sequence, number)
    pool = list(first_of.values())
    if len(pool) < _SHOWN_WINDOWS:
        pool = list(range(len(windows)))
    count = min(_SHOWN_WINDOWS, len(pool))
    return frozenset(pool[(len(pool) - 1) * i // max(count - 1, 1)] for i in range(count))
