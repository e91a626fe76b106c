"""Labelled frames that are others than those an output was made from, and what follows in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from wrp_jax.labelling.plan import WindowJob

_TOLD = 4  # frames that the sentence names


@dataclasses.dataclass(frozen=True)
class WindowLabels:
    """The labels that a window was made from.

    Attributes:
      sequence: name of its sequence.
      digests: by frame of its labels.
    """

    sequence: str
    digests: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Relabelled:
    """What a changed set of labelled frames means for an output.

    Attributes:
      touched: numbers of the windows that are made again, or for the first time, because of it.
      added, changed, removed: ``(sequence, frame)`` of the labels.
      partial: those of all labels now that are partial.
    """

    touched: frozenset[int] = frozenset()
    added: tuple[tuple[str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    partial: frozenset[tuple[str, str]] = frozenset()

    def sentence(self, windows: int) -> str:
        """One line for the reader, empty where the labels are as they were.

        Args:
          windows: how many there are.
        """
        said = []
        for what, frames in (("new", self.added), ("changed", self.changed)):
            said.append(([f for f in frames if f not in self.partial], f"{what} label {{}}"))
            said.append(([f for f in frames if f in self.partial], f"{what} partial label {{}}"))
        said.append((self.removed, "no label {} any more"))
        reasons = [text.format(_frames(frames)) for frames, text in said if frames]
        if not reasons:
            return ""
        count = len(self.touched)
        made = f"{count} of {windows} spans {'is' if count == 1 else 'are'} made again"
        return f"{made if count else 'no span is made again'}: {'; '.join(reasons)}"


def relabelled(
    jobs: Sequence[WindowJob],
    labels: Mapping[int, WindowLabels],
    before: Mapping[int | str, WindowLabels],
) -> Relabelled:
    """Compares the windows of an output with those of a plan.

    Sequences whose windows are those that they were play no part: what is missing there was never
    made.

    Args:
      jobs: of this process.
      labels: of the jobs, by number; those that cannot be read are missing.
      before: of the windows that the output holds, of the same sequences: by number where a job
        has the same window, else by anything else.
    """
    stale = {
        window.sequence
        for place, window in before.items()
        if not isinstance(place, int)
        or (place in labels and labels[place].digests != window.digests)
    }
    old = _digests(before.values(), stale)
    new = _digests(labels.values(), stale)
    # What cannot be read now is told as damaged, not as removed.
    partial = {(job.window.sequence, job.names[i]) for job in jobs for i in job.partial}
    asked = partial | {(job.window.sequence, name) for job in jobs for name in job.window.keys}
    touched = frozenset(
        job.number
        for job in jobs
        if job.window.sequence in stale
        and (
            job.number not in before
            or (job.number in labels and before[job.number].digests != labels[job.number].digests)
        )
    )
    return Relabelled(
        touched,
        added=tuple(frame for frame in new if frame not in old),
        changed=tuple(frame for frame in new if frame in old and old[frame] != new[frame]),
        removed=tuple(frame for frame in old if frame not in asked),
        partial=frozenset(partial),
    )


def _digests(
    windows: Iterable[WindowLabels], sequences: set[str]
) -> dict[tuple[str, str], set[str]]:
    """By labelled frame of these sequences; a frame may belong to two windows."""
    found: dict[tuple[str, str], set[str]] = {}
    for window in windows:
        if window.sequence in sequences:
            for name, digest in window.digests.items():
                found.setdefault((window.sequence, name), set()).add(digest)
    return found


def _frames(frames: Sequence[tuple[str, str]]) -> str:
    """``frame 27 of clip_a``, ``frames 3, 27 of clip_a, 5 of clip_b and 2 more``."""
    by_sequence: dict[str, list[str]] = {}
    for sequence, name in frames[:_TOLD]:
        by_sequence.setdefault(sequence, []).append(name)
    listed = ", ".join(f"{', '.join(names)} of {s}" for s, names in by_sequence.items())
    more = f" and {len(frames) - _TOLD} more" if len(frames) > _TOLD else ""
    return f"{'frame' if len(frames) == 1 else 'frames'} {listed}{more}"
