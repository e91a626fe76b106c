"""Thresholds that are chosen without a true label: τ of eq. 6, and a least confidence.

Labelled frames tell. Where a gap lies between two of them, the label of one is carried to the other
and compared with its own: a label that was left out. Where there is no such gap, a label makes a
round trip: some frames away and back again, to be compared with itself. Warp-inpaint does so with
each candidate of τ, over the same motion and segmentation.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from wrp_jax import interrupts
from wrp_jax.data.source import read_frame
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import read_bytes
from wrp_jax.labelling.plan import THRESHOLDS_FILE, Plan, WindowJob, check_has_tau
from wrp_jax.progress import waiting
from wrp_jax.propagation.confidence import by_confidence, told
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.methods import label_frames
from wrp_jax.runs.networks import Networks
from wrp_jax.types import Clip, OutputError, UserError

TAUS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.8)
"""Candidates; no photometric error reaches the last, √3 is the largest."""
FLAT = 0.3
"""Points of mIoU below which a difference says nothing."""
_TRIALS = 6
"""Labels that are carried, spread over the video: each takes what labelling a window takes."""
_AWAY = 5  # frames of a round trip, in one direction
_CARRIER = "warp-inpaint"
_log = logging.getLogger(__name__)
_COLUMNS = ("option", "value", "miou", "kept", "right", "chosen")


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was chosen, and the curves that it was chosen by.

    Attributes:
      tau: threshold of eq. 6.
      tau_curve: mIoU in % of labels that were left out, by candidate.
      min_confidence: 0 … 1: labels that are less sure are more often wrong than right.
      confidence_curve: by threshold, % of the pixels that are at least as sure, and % of these
        that are right.
    """

    tau: float
    tau_curve: dict[float, float]
    min_confidence: float
    confidence_curve: dict[float, tuple[float, float]]

    @property
    def is_flat(self) -> bool:
        """Whether all candidates of τ but the smallest are as good as each other."""
        values = [miou for tau, miou in self.tau_curve.items() if tau > min(self.tau_curve)]
        return max(values) - min(values) < FLAT

    @property
    def flat_sentence(self) -> str:
        """Says where the curve of τ is flat; empty where it is not."""
        if not self.is_flat:
            return ""
        return (
            f"The curve is flat: from {sorted(self.tau_curve)[1]:g} on, τ changes mIoU by less "
            f"than {FLAT:g}."
        )

    def sentences(self) -> list[str]:
        """What a reader of the report must know."""
        curve = ", ".join(f"{tau:g}: {miou:.1f}" for tau, miou in self.tau_curve.items())
        kept, right = self.confidence_curve[self.min_confidence]
        is_best = self.tau_curve[self.tau] == max(self.tau_curve.values())
        kept_own = "" if is_best else f"None is {FLAT:g} better, so the τ of the config stays. "
        least = (
            f"Labels less sure than {self.min_confidence:g} are more often wrong than right: with "
            f"--min_confidence={self.min_confidence:g}, wrp export keeps {kept:.1f} % of the "
            f"pixels, {right:.1f} % of them right where labels were left out."
            if self.min_confidence
            else "At no confidence are labels more often wrong than right: wrp export needs no "
            f"--min_confidence. Where labels were left out, {right:.1f} % of the pixels are right."
        )
        return [
            f"τ = {self.tau:g} was chosen by labels that were left out; their mIoU in % by τ: "
            f"{curve}. {kept_own}{self.flat_sentence}".rstrip(),
            f"{least} {THRESHOLDS_FILE} has the curves.",
        ]


def with_tau(plan: Plan, choice: Choice) -> Plan:
    """The plan, its τ the chosen one."""
    propagation = dataclasses.replace(plan.config.propagation, tau=choice.tau)
    config = dataclasses.replace(plan.config, propagation=propagation)
    return dataclasses.replace(plan, config=config)


@waiting("choosing τ by labels that are left out")
def choose(plan: Plan, networks: Networks) -> Choice:
    """Carries labels and compares; writes nothing that stays.

    Args:
      plan: whose labelled frames are used; its τ is kept where no candidate is better by more
        than ``FLAT``.
      networks: motion and segmentation.

    Raises:
      UserError: see ``check_choice``; no label can be carried, as files are damaged.
    """
    check_choice(plan)
    jobs = _with_labels_to_carry(plan)
    picked = np.unique(np.linspace(0, len(jobs) - 1, min(_TRIALS, len(jobs))).round().astype(int))
    own = plan.config.propagation.tau
    taus = sorted({*TAUS, own})
    trials, damaged = [], []
    for number in picked:
        try:
            trials.append(_try(plan, networks, jobs[number], taus))
        except OutputError:
            raise
        except UserError as error:  # the windows that read this file are listed as failed
            damaged.append(error)
            _log.warning("%s It plays no part in the choice of τ.", error)
    if not trials:
        raise damaged[0]
    void = plan.source.classes.void
    curve = {t: 100.0 * mean_iou(np.sum([m[t] for m, _ in trials], 0), void) for t in taus}
    best = max(taus, key=lambda tau: curve[tau])
    tau = own if curve[best] - curve[own] < FLAT else best
    return Choice(tau, curve, *_least(np.sum([pixels[tau] for _, pixels in trials], 0)))


def check_choice(plan: Plan) -> None:
    """Refuses a plan for which τ cannot be chosen; reads no frame.

    Raises:
      UserError: no method of the plan has a τ, or no labelled frame has a neighbour.
    """
    check_has_tau(plan.methods)
    if not _with_labels_to_carry(plan):
        raise UserError("--config.propagation.tau=auto needs a labelled frame with neighbours.")


def _with_labels_to_carry(plan: Plan) -> list[WindowJob]:
    """Windows between two labelled frames; or else those of one that has neighbours."""
    gaps = [job for job in plan.jobs if len(job.keys) == 2]
    return gaps or [job for job in plan.jobs if len(job.names) > 1]


def _try(
    plan: Plan, networks: Networks, job: WindowJob, taus: Sequence[float]
) -> tuple[dict[float, np.ndarray], dict[float, np.ndarray]]:
    """Carries one label with every candidate.

    Returns:
      By candidate, ``confusion`` of what it is compared with; and of pixels by confidence in 255
      steps, how many there are, and how many of them are right.
    """
    source, sequence, known = plan.source, job.window.sequence, plan.known_labels()
    key = job.keys[0]
    if len(job.keys) == 2:
        first, last = job.keys
    else:
        after = len(job.names) - 1 - key >= key
        first, last = (key, min(key + _AWAY, len(job.names) - 1)) if after else (
            max(key - _AWAY, 0), key,
        )  # fmt: skip
    names = job.names[first : last + 1]
    start, end = key - first, len(names) - 1 - (key - first)
    clip = Clip(len(names), lambda i: read_frame(source, sequence, names[i]), sequence, names)
    label = known.label(sequence, job.names[key])
    matrices, pixels = {}, {}
    void, begin = np.asarray(source.classes.void), [Keyframe(start, label)]
    with (
        tempfile.TemporaryDirectory() as scratch,
        networks.open_window(clip, begin, source.classes, Path(scratch)) as window,
    ):
        for tau in taus:
            interrupts.check()
            options = dataclasses.replace(plan.config.propagation, tau=tau)
            said = {s.frame: s for s in label_frames(_CARRIER, options, window)}[end]
            if len(job.keys) == 2:
                true = known.label(sequence, names[end])
            else:
                back = dataclasses.replace(window, keys=(Keyframe(end, said.labels),))
                said = {s.frame: s for s in label_frames(_CARRIER, options, back)}[start]
                true = label
            matrices[tau] = confusion(true, said.labels, len(void))
            pixels[tau] = by_confidence(said.confidence, said.labels, true, ~void)
            if len(job.keys) == 2:  # as it is written there
                pixels[tau] = told(pixels[tau])
    return matrices, pixels


def _least(
    pixels: Int[np.ndarray, "2 256"],
) -> tuple[float, dict[float, tuple[float, float]]]:
    """The threshold below which most is wrong, of multiples of 0.05; and the curve."""
    levels = {i / 20: int(np.ceil(255 * i / 20)) for i in range(20)}
    curve, gain = {}, {}
    for threshold, level in levels.items():
        kept, right = pixels[:, level:].sum(axis=1)
        curve[threshold] = (
            100.0 * float(kept / max(pixels[0].sum(), 1)), 100.0 * float(right / max(kept, 1))
        )  # fmt: skip
        dropped, good = pixels[:, :level].sum(axis=1)
        gain[threshold] = int(dropped - 2 * good)
    return max(gain, key=lambda threshold: (gain[threshold], -threshold)), curve


def write_choice(output: Path, choice: Choice) -> None:
    """Writes the curves into ``OUT/thresholds.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for tau, miou in choice.tau_curve.items():
        writer.writerow(["tau", tau, f"{miou:.3f}", "", "", int(tau == choice.tau)])
    for threshold, (kept, right) in choice.confidence_curve.items():
        chosen = int(threshold == choice.min_confidence)
        writer.writerow(
            ["min_confidence", f"{threshold:g}", "", f"{kept:.3f}", f"{right:.3f}", chosen]
        )
    write_atomically(output / THRESHOLDS_FILE, text.getvalue().encode())


def read_choice(output: Path) -> Choice | None:
    """Reads the curves back; None where there are none.

    Raises:
      UserError: the file is not what ``write_choice`` writes.
    """
    path = output / THRESHOLDS_FILE
    if not path.exists():
        return None
    try:
        head, *rows = csv.reader(io.StringIO(read_bytes(path).decode(), newline=""))
        if tuple(head) != _COLUMNS:
            raise ValueError("other columns")
        taus = {float(row[1]): float(row[2]) for row in rows if row[0] == "tau"}
        levels = {float(row[1]): (float(row[3]), float(row[4])) for row in rows if row[0] != "tau"}
        tau, least = (float(row[1]) for row in rows if row[5] == "1")
        if tau not in taus or least not in levels or len(taus) < 2:
            raise ValueError("nothing is chosen")
    except (ValueError, IndexError, UnicodeError, csv.Error) as error:
        raise UserError(
            f"{path} is not what wrp propagate writes ({error}): remove it, and τ is chosen again."
        ) from error
    return Choice(tau, taus, least, levels)


def chosen_thresholds(plan: Plan) -> Choice | None:
    """The choice by which an output was made; None where nothing was chosen."""
    found = read_choice(plan.output)
    return found if found and found.tau == plan.config.propagation.tau else None
