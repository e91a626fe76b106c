"""Windows that an earlier run has labelled and this one keeps: nothing about them has changed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from wrp_jax import interrupts
from wrp_jax.data.images import decode_label
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source_digests import FileSource, SourceDigests
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.failures import Failures
from wrp_jax.files.records import Records, fingerprint, run_mark
from wrp_jax.files.regular import read_bytes
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.plan import CHANGED, MAY_CHANGE, RESERVED, Plan, WindowJob
from wrp_jax.labelling.relabelled import Relabelled, WindowLabels, relabelled
from wrp_jax.labelling.window_result import WindowResult, labels_of_window, load_window_result
from wrp_jax.quality.next_frames import NEXT_FRAMES_FILE
from wrp_jax.quality.table import QUALITY_FILE
from wrp_jax.reporting.clips import CLIP_SCRIPT
from wrp_jax.types import UserError

RESULT_VERSION = 3
"""Raised when the program labels the same input otherwise than before: windows are made again."""

_OF_WINDOWS = "methods"
_OF_ALL = ("metrics.json", "report.html", "tfds", QUALITY_FILE, NEXT_FRAMES_FILE)
_log = logging.getLogger(__name__)


class KeptWindows:
    """The records of an output, by windows.

    Attributes:
      marks: by number of the window, fingerprints of what its result depends on: the settings of
        the whole output, frames, labels. Windows whose files cannot be read have none.
      labels: by number of the window, the labels among that.
    """

    def __init__(self, plan: Plan, failures: Failures, networks_digest: str | None = None):
        """Looks at the frames and labels of the plan's own jobs; unchanged ones are not read again.

        Args:
          plan: of the run.
          failures: lists the windows whose files cannot be read.
          networks_digest: of ``Networks``; None where ``run.json`` says what it was.
        """
        self._plan, self._files = plan, OutputFiles(plan)
        self._records = Records(plan.output, plan.shard)
        self._known, self._truth = plan.known_labels(), GroundTruth(plan.source)
        digests = SourceDigests(plan.source, self._records.digests)
        settings = None if networks_digest is None else plan.settings(networks_digest)
        self._run = run_mark(plan.output, MAY_CHANGE, settings)
        self.marks: dict[int, str] = {}
        self.labels: dict[int, WindowLabels] = {}
        for job in plan.own:
            with failures.of(**job.part):
                labels = labels_of(job, digests, self._known)
                self.marks[job.number] = self._mark(job, labels, digests)
                self.labels[job.number] = labels

    def relabelled(self) -> Relabelled:
        """How the labelled frames differ from those that the output was made from."""
        jobs = self._plan.own
        numbers = {self._files.window_path(job): job.number for job in jobs}
        sequences, before = {job.window.sequence for job in jobs}, {}
        for path in self._windows():
            interrupts.check()
            labels = labels_of_window(path)
            if labels is not None and (labels.sequence in sequences or self._plan.shard.is_all):
                before[numbers.get(path, path.name)] = labels
        return relabelled(jobs, self.labels, before)

    def finished(self, touched: Collection[int] = ()) -> dict[int, WindowResult]:
        """The results that are kept, by number of the window; changes nothing.

        Args:
          touched: windows that are known to be others than before.
        """
        results = {}
        for job in self._plan.own:
            interrupts.check()
            mark = self.marks.get(job.number)
            if mark is None or job.number in touched:
                continue
            # All are looked at, so that each that was changed is told.
            current = [self._records.is_current(p, mark) for p in self._files.written(job)]
            if all(current):
                before = load_window_result(self._files.window_path(job), mark)
                if before is not None:
                    results[job.number] = before
        return results

    def load(self) -> dict[int, WindowResult]:
        """The results that are kept, by number of the window.

        What is made again is told. Labels that somebody has changed in the output, where they are
        going to be made again, are moved to ``CHANGED``: they may be corrections that were meant
        for the data. Files of frames that the plan does not have are removed, but for
        a shard, whose plan may be older than that of others: who merges removes them.
        """
        changes = self.relabelled()
        sentence = changes.sentence(len(self._plan.own))
        if sentence:
            _log.warning("%s: %s", self._plan.output, sentence)
        results = self.finished(changes.touched)
        self._records.tell()
        self._set_changes_aside(results)
        if self._plan.shard.is_all:
            self._remove_others()
        self._records.save()
        return results

    def changed_labels(self, finished: Collection[int]) -> Iterator[Path]:
        """Labels in the output that somebody has changed, where they are going to be made again.

        Those that are pictures still: what is damaged is nobody's work. Nor those that the data
        have by now.

        Args:
          finished: numbers of the windows that are kept.
        """
        for job in self._plan.own:
            if job.number in finished:
                continue
            labels = self.labels.get(job.number)
            given = {} if labels is None else labels.digests
            written = {path: name for name, path in self._files.labels(job)}
            for path in self._records.changed(written):
                interrupts.check()
                if given.get(written[path]) == self._records.digests.of(path):
                    continue
                try:
                    decode_label(read_bytes(path), path)
                except UserError:
                    continue
                yield path

    def _set_changes_aside(self, finished: Collection[int]) -> None:
        folder = self._plan.output / CHANGED
        changed = list(self.changed_labels(finished))
        moved = [(path, self._records.set_aside(path, folder)) for path in changed]
        if moved:
            path, place = moved[0]
            more = f" ({len(moved) - 1} more like it)" if len(moved) > 1 else ""
            _log.warning(
                "%s: somebody has changed this label, which is made anew; the changed one is now "
                "%s%s. If it is a correction, put it into the labels of the data; else remove it",
                path, place, more,
            )  # fmt: skip

    def _windows(self) -> list[Path]:
        """The files of finished windows, of this plan or another."""
        return sorted(self._files.scratch().glob("*.npz"))

    def _remove_others(self) -> None:
        keep = {path for job in self._plan.jobs for path in self._files.written(job)}
        keep |= {self._files.quality_path(method) for method in self._plan.methods}
        self._records.remove(path for path in self._windows() if path not in keep)
        whole = RESERVED - {_OF_WINDOWS}  # made from all windows together
        depth = len(self._plan.output.parts)
        scripts = {self._files.clip_script(s) for s in self._plan.source.sequences}
        for path in self._records.files():
            if path.parts[depth] in whole or path in scripts:
                keep.add(path)
        self._records.keep_only(keep)

    def begin(self, job: WindowJob) -> None:
        """Notes that the files of a window are about to be written."""
        self._records.begin(self._files.written(job))

    def add(self, job: WindowJob) -> None:
        """Records what a window that has just been labelled leaves behind.

        Where somebody has changed its frames or labels meanwhile, nobody knows which of them it was
        made from: that is told, and the next run makes it again.
        """
        mark = self.marks[job.number]
        if self._is_changed(job):
            mark = ""
            _log.warning(
                "frames or labels of %s around %s were changed while they were read: give the same "
                "command again, which labels these frames anew",
                job.window.sequence, " and ".join(job.window.keys),
            )  # fmt: skip
        self._records.add(mark, self._files.written(job))

    def _is_changed(self, job: WindowJob) -> bool:
        """Whether the files that a window was made from are others by now; none is opened that has
        not been written since.
        """
        if not isinstance(self._plan.source, FileSource):
            return False
        digests = SourceDigests(self._plan.source, self._records.digests)
        try:
            labels = labels_of(job, digests, self._known)
            return self._mark(job, labels, digests) != self.marks[job.number]
        except UserError:
            return True  # gone

    def remove(self, job: WindowJob) -> None:
        """Removes what there is of a window that failed: a part of it, or of other inputs."""
        self._records.remove(self._files.written(job))

    def save(self) -> None:
        """Writes the records in order."""
        self._records.save()

    def _mark(self, job: WindowJob, labels: WindowLabels, digests: SourceDigests) -> str:
        window, scored = job.window, [job.names[i] for i in job.scored]
        return fingerprint(
            RESULT_VERSION,
            self._run,
            window.identity,
            job.owned,
            digests.frames(window.sequence, job.names),
            list(labels.digests.items()),
            [(name, digests.label(window.sequence, name, self._truth.label)) for name in scored],
        )


def record_results(plan: Plan, records: Records, more: Sequence[Path]) -> None:
    """Records what is made from all windows together, so that it can be verified.

    Args:
      plan: of the run.
      records: of its output.
      more: files beside those that every run leaves: of the report, on quality.
    """
    paths = [plan.output / "metrics.json", *more]
    paths += sorted(path for path in (plan.output / "tfds").iterdir() if path.is_file())
    records.add("", paths)
    keep = set(paths)
    records.keep_only(path for path in records.files() if path in keep or not _is_whole(plan, path))
    records.save()


def remove_results(plan: Plan) -> None:
    """Removes what an earlier run has made from all windows together."""
    records = Records(plan.output)
    records.remove([path for path in records.files() if _is_whole(plan, path)])
    records.save()


def labels_of(job: WindowJob, digests: SourceDigests, known: KnownLabels) -> WindowLabels:
    """The labels that a window is made from.

    Raises:
      UserError: a file of them cannot be read.
    """
    sequence = job.window.sequence
    keys = *job.window.keys, *(job.names[i] for i in job.further)
    found = {key: digests.label(sequence, key, known.label) for key in keys}
    for name in (job.names[i] for i in job.partial):
        found[name] = digests.label(sequence, name, known.partial_label)
    return WindowLabels(sequence, found)


def _is_whole(plan: Plan, path: Path) -> bool:
    """Whether a file of the output is made from all windows together."""
    parts = path.relative_to(plan.output).parts
    of_clip = len(parts) == 2 and parts[1] == CLIP_SCRIPT
    return parts[0] in _OF_ALL or of_clip or parts[-1] == QUALITY_FILE
