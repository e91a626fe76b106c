"""The windows that the report shows: small pictures of what was written for them, in one file.

Which windows are shown depends on all of them, and so may change while a window stays as it is: its
pictures are made from its files.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.propagated.stored import read_propagated
from wrp_jax.files.records import fingerprint
from wrp_jax.files.regular import read_bytes
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.flow_pictures import flow_pictures
from wrp_jax.labelling.plan import Plan, WindowJob
from wrp_jax.labelling.window_result import read_arrays, save_arrays
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.reporting.film import shrink_labels
from wrp_jax.runs.networks import moves
from wrp_jax.types import UserError


@dataclasses.dataclass(frozen=True)
class ShownWindow:
    """Pictures of the shown frames of a window, at the size of the report.

    Attributes:
      labels: by method, class indices.
      confidence: of the main method.
      flow: colours of the flow towards the labelled frame, or None.
    """

    labels: dict[str, UInt8[np.ndarray, "n h w"]]
    confidence: UInt8[np.ndarray, "n h w"]
    flow: UInt8[np.ndarray, "n h w 3"] | None


def shown_mark(mark: str, job: WindowJob) -> str:
    """Fingerprint of what the pictures are made from.

    Args:
      mark: of the window.
      job: which of its frames are shown.
    """
    return fingerprint(mark, job.shown)


def save_shown(plan: Plan, job: WindowJob, mark: str, known: KnownLabels, cues: WindowCues) -> None:
    """Makes the pictures of a window whose labels are written.

    Args:
      plan: of the run.
      job: the window.
      mark: see ``shown_mark``.
      known: the label of its labelled frames, which another window may write.
      cues: its motion.

    Raises:
      UserError: a file cannot be read any more.
    """
    files, classes, sequence = OutputFiles(plan), plan.source.classes, job.window.sequence
    arrays: dict[str, np.ndarray] = {}
    for method in plan.methods:
        writer, labels, confidence = files.writers[method], [], []
        for i in job.shown:
            if i in job.keys:
                label = known.label(sequence, job.names[i])
                sure = np.full(label.shape, 255, np.uint8)
            else:
                path = writer.label_path(sequence, job.names[i])
                label = read_propagated(read_bytes(path), classes, path)
                path = writer.confidence_path(sequence, job.names[i])
                sure = images.decode_label(read_bytes(path), path).pixels
            # Class indices fit: 256 ids at most, and UNLABELLED is 255.
            labels.append(shrink_labels(label).astype(np.uint8))
            confidence.append(shrink_labels(sure))
        arrays[f"labels/{method}"] = np.stack(labels)
        arrays["confidence"] = np.stack(confidence)  # the main method is the last
    if moves(plan.methods):
        section = functools.partial(cues.section, semantics=False)
        moving = flow_pictures(section, job.keys, job.shown)
        if moving is not None:
            arrays["flow"] = moving
    save_arrays(files.shown_path(job), {"fingerprint": mark}, arrays)


def load_shown(path: Path, mark: str, methods: tuple[str, ...]) -> ShownWindow:
    """Reads what ``save_shown`` has written.

    Raises:
      UserError: it is absent, damaged or made from something else.
    """
    found = read_arrays(path)
    if found is None or found[0].get("fingerprint") != mark:
        raise UserError(f"{path} is gone or damaged: the same command makes it again.")
    arrays = found[1]
    return ShownWindow(
        {method: arrays[f"labels/{method}"] for method in methods},
        arrays["confidence"],
        arrays.get("flow"),
    )
