"""Labels from any frames of a video, for experiments that ask how much another label would help.

Frames between two labelled ones depend on these two alone. Each such span is labelled once by
motion-only, and what is known of it afterwards, true errors included, is kept in a small file: the
next choice of frames labels the spans that are new and no other, and a run that was stopped goes
on where it was. Files of another version of the code are not told apart: give it another folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from wrp_jax.config import Config
from wrp_jax.data.sides import between_keyframes
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.evaluation.confusion import confusion
from wrp_jax.files.code_digest import code_digest
from wrp_jax.files.records import fingerprint
from wrp_jax.labelling.plan import Plan, WindowJob, jobs_of
from wrp_jax.labelling.relabelled import WindowLabels
from wrp_jax.labelling.watch import Watch
from wrp_jax.labelling.window_result import WindowResult, load_window_result
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.methods import label_frames
from wrp_jax.runs.networks import Networks
from wrp_jax.types import ClassMap, Clip, Motion, Positions

METHOD = "motion-only"


class Smaller:
    """A video in another size: frames are means over areas, labels the nearest pixels."""

    def __init__(self, source: VideoSource, scale: float, sequences: Sequence[str] = ()):
        """Some sequences of a video, all if none is named, at ``scale`` of its size."""
        self._source, self._scale = source, scale
        self.sequences = tuple(sequences) or source.sequences

    @property
    def name(self) -> str:
        """See ``VideoSource``."""
        return self._source.name

    @property
    def classes(self) -> ClassMap:
        """See ``VideoSource``."""
        return self._source.classes

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """See ``VideoSource``."""
        return self._source.frame_names(sequence)

    def label_names(self, sequence: str) -> frozenset[str]:
        """See ``VideoSource``."""
        return self._source.label_names(sequence)

    def frame(self, sequence: str, name: str) -> np.ndarray:
        """See ``VideoSource``."""
        return self._resized(self._source.frame(sequence, name), cv2.INTER_AREA)

    def label(self, sequence: str, name: str) -> np.ndarray:
        """See ``VideoSource``."""
        return self._resized(self._source.label(sequence, name), cv2.INTER_NEAREST_EXACT)

    def _resized(self, picture: np.ndarray, how: int) -> np.ndarray:
        if self._scale == 1:
            return picture
        height, width = (round(side * self._scale) for side in picture.shape[:2])
        return np.asarray(cv2.resize(picture, (width, height), interpolation=how))


class KeptFlows:
    """A motion that estimates the flow between two named frames once."""

    def __init__(self, motion: Motion):
        """Takes memory for all flows that are asked for, 8 bytes per pixel."""
        self._motion, self._kept = motion, {}

    def __call__(
        self, clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        """See ``Motion``; there is no first guess in motion-only."""
        assert initial is None
        pairs = [(int(t), int(s)) for t, s in zip(targets, sources, strict=True)]
        keys = [(clip.sequence, clip.names[t], clip.names[s]) for t, s in pairs]
        missing = [pair for pair, key in zip(pairs, keys, strict=True) if key not in self._kept]
        if missing:
            flows = np.asarray(self._motion(clip, *map(np.array, zip(*missing, strict=True))))
            for (t, s), flow in zip(missing, flows, strict=True):
                self._kept[clip.sequence, clip.names[t], clip.names[s]] = flow
        return np.stack([self._kept[key] for key in keys])


class Spans:
    """Labels whole sequences from chosen frames.

    Attributes:
      source: the video, whose frames all have true labels.
      seconds: of processor time that labelling took, this process alone.
    """

    def __init__(self, source: VideoSource, workdir: Path, settings: str = ""):
        """Labels nothing yet.

        Args:
          source: the video.
          workdir: where results are kept; ``workdir/scratch`` holds what passes by.
          settings: what else results depend on, such as the size of the frames.
        """
        self.source, self._workdir, self.seconds = source, workdir, 0.0
        self._config = Config()
        self._networks = Networks(KeptFlows(build_motion(self._config.motion)), None, None, "")
        self._made_by = fingerprint(settings)
        self._kept: dict[tuple[str, ...], WindowResult] = {}

    def label(
        self, chosen: Mapping[str, Sequence[int]]
    ) -> tuple[Plan, dict[int, WindowResult], np.ndarray]:
        """Labels every frame from those at some places of each sequence, at least one.

        Returns:
          The plan, what each of its windows leaves behind, and the confusion matrix of all frames,
          labelled ones included.
        """
        source = self.source
        keys = [
            (sequence, source.frame_names(sequence)[place])
            for sequence, places in chosen.items()
            for place in sorted(set(places))
        ]
        reach = max(len(source.frame_names(sequence)) for sequence in chosen)
        windows = windows_of_keyframes(source, keys, reach)
        jobs = jobs_of(source, between_keyframes(windows, source, reach))
        plan = Plan(self._config, source, jobs, (METHOD,), self._workdir)
        results = {job.number: self._result(job) for job in jobs}
        count = source.classes.num_classes
        total = np.zeros((count, count + 1), np.int64)
        for result in results.values():
            total += result.matrices[METHOD, 1]
        for sequence, name in keys:
            own = source.label(sequence, name)
            total += confusion(own, own, count)
        return plan, results, total

    def _result(self, job: WindowJob) -> WindowResult:
        window = job.window
        key = (window.sequence, window.first, window.last, *window.keys)
        if key not in self._kept:
            path = self._workdir / window.sequence / ("_".join(key[1:]) + ".npz")
            found = load_window_result(path, self._made_by)
            if found is None:
                start = time.process_time()
                (self._workdir / "scratch").mkdir(parents=True, exist_ok=True)
                found = self._label(job)
                path.parent.mkdir(parents=True, exist_ok=True)
                found.save(path)
                self.seconds += time.process_time() - start
            self._kept[key] = found
        return self._kept[key]

    def _label(self, job: WindowJob) -> WindowResult:
        source, sequence, names = self.source, job.window.sequence, job.names
        classes, count = source.classes, source.classes.num_classes
        keys = [Keyframe(i, source.label(sequence, names[i])) for i in job.keys]
        clip = Clip(len(names), lambda i: source.frame(sequence, names[i]), sequence, names)
        scratch, total = self._workdir / "scratch", np.zeros((count, count + 1), np.int64)
        with (
            self._networks.open_window(
                clip, keys, classes, scratch, job.window.reach, leave_out=True
            ) as window,
            Watch(window, job.owned, [METHOD]) as watch,
        ):
            for said in label_frames(METHOD, self._config.propagation, window):
                watch.see(METHOD, said)
                if said.frame not in job.keys:
                    true = source.label(sequence, names[said.frame])
                    total += confusion(true, said.labels, count)
            watch.finish()
        return WindowResult(
            self._made_by,
            WindowLabels(sequence, {}),
            code_digest(),
            matrices={(METHOD, 1): total},
            known=np.isin(np.arange(count), [key.label for key in keys]),
            evidence=watch.evidence,
            left_out=watch.left_out,
            left_out_matrices=watch.left_out_matrices,
        )
