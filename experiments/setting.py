"""What an experiment is given, and the steps that all of them share, each done once per workdir.

``WORKDIR/teacher`` holds g_ψ and Ω, ``WORKDIR/labels`` what ``propagate`` wrote by every method,
``WORKDIR/refiners/<options>/<seed>`` one other Ω each, ``WORKDIR/students/<what they learn
from>/<seed>`` one student each. Every step goes on where it was
stopped, and experiments that need the same student share it.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.refiners import train_on
from wrp_jax.api.fit import fit
from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config, RefinerConfig, SegmentationConfig, StudentConfig
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import choose_windows
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import MAX_BYTES
from wrp_jax.files.strict_json import read_json
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.score import SCORES_FILE, score_run
from wrp_jax.runs.results import STUDENT, result_path
from wrp_jax.types import Window

NO_TRUTH = (
    "no frame of --data beside the labelled ones has a true label to score against: give a video "
    "with more labels, and the --keyframes that may be used."
)

_COST = "cpu_seconds.json"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What an experiment is given.

    Attributes:
      config: of g_ψ, Ω, propagation and students.
      data: the video, of which a few labels are used.
      test: what students are scored on; see ``config.test``.
      workdir: where networks and labels go.
      seeds: of the students; one run each.
      windows, keyframes, stills: as the flags of ``train.py``.
      truth: the labels of the set as its authors lay them out, for scores that need instances.
      parts: of an experiment that has several; none: all of them.
      longer: steps by which Table 1's row "baseline, longer" goes beyond the others; 0: no such
        row.
    """

    config: Config
    data: str
    test: str
    workdir: Path
    seeds: tuple[int, ...]
    windows: str | None = None
    keyframes: str | None = None
    stills: tuple[str, ...] = ()
    truth: Path | None = None
    parts: tuple[str, ...] = ()
    longer: int = 0

    def video(self) -> tuple[VideoSource, tuple[Window, ...]]:
        """The video, and its windows around the labelled frames."""
        source = open_source(self.data)
        windows = choose_windows(
            source,
            windows=self.windows,
            keyframes=self.keyframes,
            key_every=self.config.key_every,
            horizon=self.config.propagation.horizon,
        )
        return source, windows

    def teach(self) -> Path:
        """Trains g_ψ and Ω. Returns their workdir."""
        workdir = self.workdir / "teacher"
        config = self._config(stages=("segmentation", "refiner"))
        with self.cost("teacher"):
            self._fit(config, workdir)
        return workdir

    def refine(
        self,
        name: str,
        options: RefinerConfig,
        seed: int,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Path:
        """Trains another Ω on the teacher's g_ψ. Returns its workdir.

        Args:
          name: of its folder.
          options: the same as ``config.refiner``.
          seed: of its training.
          changes: as of `label`.
        """
        teacher, run = self.teach(), self.workdir / "refiners" / name / str(seed)
        source, windows = self.video()
        known = KnownLabels(source, windows, [parse_stills(still) for still in self.stills])
        with self.cost("refiners"):
            config = _changed(self._config(refiner=options, seed=seed), changes)
            train_on(teacher, run, config, known, source, windows)
        return run

    def label(
        self,
        name: str = "labels",
        method: str = "all",
        workdir: Path | None = None,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Propagates the labels.

        Args:
          name: of the output in the workdir.
          method: of ``propagate``.
          workdir: of the networks; the teacher's if None.
          changes: options that differ, by group: ``{"propagation": {"tau": 0.2}}``.

        Returns:
          What ``metrics.json`` holds.
        """
        trained = workdir or self.teach()
        config = _changed(self._config(), changes)
        output = self.workdir / name
        request = Request(self.data, output, method, self.windows, self.keyframes)
        with self.cost(name):
            return propagate(config, request, workdir=trained)

    def student(
        self,
        name: str,
        options: StudentConfig,
        seed: int,
        segmentation: SegmentationConfig | None = None,
    ) -> dict[str, Any]:
        """Trains and scores one student.

        Args:
          name: what it learns from, of its folder.
          options: the same as ``config.student``.
          seed: of its training.
          segmentation: its network and protocol; those of g_ψ if None.

        Returns:
          What ``scores.json`` holds.
        """
        workdir = self.student_folder(name, seed)
        config = self._config(stages=(STUDENT,), seed=seed, student=options)
        config.segmentation = segmentation or config.segmentation
        config.pseudo = str(self.workdir / "labels") if options.labels == "propagated" else ""
        scores, finished = workdir / SCORES_FILE, result_path(workdir, STUDENT).exists()
        with self.cost(f"students/{name}"):
            self._fit(config, workdir)  # compares the options of a finished student with these
        if finished and scores.is_file():
            found = read_json(scores, limit=MAX_BYTES)
            if found["test"] == self.test:
                return found
        with self.cost("scores"):
            return score_run(config, self.test, workdir)

    def student_folder(self, name: str, seed: int) -> Path:
        """The workdir of a student."""
        return self.workdir / "students" / name / str(seed)

    def cpu_minutes(self) -> dict[str, float]:
        """CPU time of what the workdir holds by what was made, and of ``all`` of it.

        Stopped runs are included as far as they got.
        """
        minutes = {what: seconds / 60.0 for what, seconds in _costs(self.workdir).items()}
        minutes["all"] = sum(minutes.values())
        return {what.replace("/", " "): round(m, 1) for what, m in minutes.items()}

    def cost(self, what: str) -> _Cost:
        """Adds the CPU time of its body to what `cpu_minutes` tells of ``what``."""
        return _Cost(self.workdir, what)

    def _config(self, **changes: Any) -> Config:
        config = dataclasses.replace(copy.deepcopy(self.config), data="", test="", **changes)
        config.propagation.move_images = True
        return config

    def _fit(self, config: Config, workdir: Path) -> None:
        fit(
            self.data,
            config=config,
            workdir=workdir,
            windows=self.windows,
            keyframes=self.keyframes,
            stills=self.stills,
        )


def _changed(config: Config, changes: Mapping[str, Mapping[str, Any]] | None) -> Config:
    for group, options in (changes or {}).items():
        setattr(config, group, dataclasses.replace(getattr(config, group), **options))
    return config


class _Cost:
    def __init__(self, workdir: Path, what: str):
        self._workdir, self._what = workdir, what

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, *_: object) -> None:
        costs = _costs(self._workdir)
        costs[self._what] = costs.get(self._what, 0.0) + time.process_time() - self._start
        write_atomically(self._workdir / _COST, json.dumps(costs).encode())


def _costs(workdir: Path) -> dict[str, float]:
    path = workdir / _COST
    return dict(read_json(path, limit=MAX_BYTES)) if path.is_file() else {}


def offsets_up_to(distance: int) -> tuple[int, ...]:
    """±2, ±4, … up to a distance."""
    up = range(2, distance + 1, 2)
    return (*(-n for n in reversed(up)), *up)


def folder_of(method: str, offsets: Sequence[int]) -> str:
    """The folder of the students that learn from a method's labels at these offsets."""
    return f"{method}_{'_'.join(map(str, sorted({abs(n) for n in offsets})))}"


def statistics(by_seed: Mapping[int, float]) -> dict[str, Any]:
    """``miou`` by seed, their ``mean``, and ``sigma``, the sample standard deviation.

    It is None for one seed.
    """
    values = list(by_seed.values())
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    sigma = (squares / (len(values) - 1)) ** 0.5 if len(values) > 1 else None
    return {"miou": dict(by_seed), "mean": mean, "sigma": sigma}
