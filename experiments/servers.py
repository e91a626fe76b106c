"""Tables 2 and 4 of the paper: what the servers of Cityscapes and KITTI score.

The servers keep the labels of their test splits, and take one submission of a method: these tables
are made on frames with labels, the validation split of Cityscapes or a part of KITTI's 200 frames
that was not trained on. What the servers take is made by ``experiments.submission``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.published import CITYSCAPES, TABLE_2, TABLE_4
from experiments.setting import Setting, statistics
from experiments.students import folder_of_row, measure, rows
from experiments.submission import FILES, truth_of
from wrp_jax.config import StudentConfig
from wrp_jax.data.open_source import open_source
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.evaluation.cityscapes import CityscapesScores
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import MAX_BYTES
from wrp_jax.files.strict_json import read_json
from wrp_jax.labelling.score import frames_to_score
from wrp_jax.runs.segmentation import load_segmentation
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.types import UserError, clip_of

_ROWS = ("baseline", "warp-refine")
_SCORES = "server_scores.json"
_COLUMNS = (("class", "IoU"), ("class", "iIoU"), ("category", "IoU"), ("category", "iIoU"))


def table2(setting: Setting) -> dict[str, Any] | None:
    """IoU of each class on labelled frames of Cityscapes, of students with and without labels."""
    if not _is_of(setting.data, "cityscapes"):
        print("not run: needs Cityscapes (wrp convert --set=cityscapes) as --data")
        return None
    setting.label()
    wanted = rows(setting)
    found = measure(setting, {row: wanted[row] for row in _ROWS})
    names = {name: name[:7] for name in CITYSCAPES}
    print(f"IoU (%) on {setting.test}; the paper's are of the test split")
    print(f"{'':16}" + "".join(f"{names[n]:>8}" for n in CITYSCAPES) + f"{'mIoU':>8}{'σ':>6}")
    for row, one in found.items():
        values = [one["iou"].get(name) for name in CITYSCAPES]
        cells = "".join(f"{'-':>8}" if v is None else f"{v:8.1f}" for v in values)
        sigma = "     -" if one["sigma"] is None else f"{one['sigma']:6.2f}"
        print(f"{row:16}{cells}{one['mean']:8.1f}{sigma}")
    for row, (values, mean) in TABLE_2.items():
        print(f"{row:16}" + "".join(f"{v:8.1f}" for v in values) + f"{mean:8.1f}  (paper)")
    _tell_submission("cityscapes", setting)
    return {"rows": found}


def table4(setting: Setting) -> dict[str, Any] | None:
    """IoU and iIoU of classes and categories on labelled frames of KITTI."""
    if not _is_of(setting.data, "kitti"):
        print("not run: needs KITTI (wrp convert --set=kitti) as --data")
        return None
    if setting.truth is None:
        raise UserError("--truth is missing: give KITTI's training, which has its instances.")
    setting.label()
    found: dict[str, Any] = {}
    for row, options in ((r, o) for r, o in rows(setting).items() if r in _ROWS):
        by_seed = {
            seed: _server_scores(setting, row, options, seed, setting.truth)
            for seed in setting.seeds
        }
        found[row] = {}
        for title, kind in _COLUMNS:
            means = {s: one[title][kind]["mean"] for s, one in by_seed.items()}
            known = {s: mean for s, mean in means.items() if mean is not None}
            if not known:
                raise UserError(f"{setting.test} shows nothing to score: no {kind} of a {title}.")
            one = statistics(known)
            base = found["baseline"].get(f"{title} {kind}", one)["mean"]
            found[row][f"{title} {kind}"] = {**one, "delta": one["mean"] - base}
    heads = [f"{title} {kind}" for title, kind in _COLUMNS]
    print(f"scores (%) on {setting.test}; the paper's are of the test split")
    print(f"{'':14}" + "".join(f"{head:>22}" for head in heads))
    for row, one in found.items():
        cells = (
            f"{one[h]['mean']:.2f} ± {one[h]['sigma'] or 0.0:.2f} ({one[h]['delta']:+.2f})"
            for h in heads
        )
        print(f"{row:14}" + "".join(f"{cell:>22}" for cell in cells))
    for row, values in TABLE_4.items():
        print(f"{row:14}" + "".join(f"{v:22.2f}" for v in values) + "  (paper)")
    _tell_submission("kitti", setting)
    return {"rows": found}


def _is_of(data: str, kind: str) -> bool:
    """Whether labelled frames have the classes and the names of a set."""
    source = open_source(data)
    names = [name for s in source.sequences for name in source.label_names(s)]
    same = source.classes.names == cityscapes_classes().names
    return same and any(re.fullmatch(FILES[kind][0], name) for name in names)


def _server_scores(
    setting: Setting, row: str, options: StudentConfig, seed: int, truth: Path
) -> dict[str, Any]:
    """The scores of one student, trained and scored unless that has been done."""
    folder = folder_of_row(row, options)
    setting.student(folder, options, seed)
    workdir = setting.student_folder(folder, seed)
    stored = workdir / _SCORES
    if stored.is_file():
        found = read_json(stored, limit=MAX_BYTES)
        if found["test"] == setting.test:
            return found
    with setting.cost("scores"):
        scores = score_student(setting, workdir, truth)
    found = {"test": setting.test, **scores}
    write_atomically(stored, (json.dumps(found, indent=1) + "\n").encode())
    return found


def score_student(setting: Setting, workdir: Path, truth: Path) -> dict[str, Any]:
    """The scores that KITTI's server gives, of a trained student on the frames of the test.

    Args:
      setting: says which frames.
      workdir: of the student.
      truth: labels and instances, as `truth_of` looks for them.

    Raises:
      UserError: a frame has no label there.
    """
    source, frames = frames_to_score(setting.test)
    network, variables = load_segmentation(workdir, setting.config, source.classes)
    segment = functools.partial(segment_clip, network, variables, keep_features=False, batch_size=1)
    ids, sums = np.array(source.classes.ids), CityscapesScores()
    for sequence, name in frames:
        found = truth_of("kitti", name, truth)
        if found is None:
            raise UserError(f"{truth} holds no semantic/{name}.png: give KITTI's training.")
        clip = clip_of(source.frame(sequence, name)[None], sequence, (name,))
        probs = np.asarray(segment(clip, [0])[0][0], np.float32)
        sums.add(found[0], ids[probs.argmax(-1)], found[1])
    return sums.scores()


def _tell_submission(kind: str, setting: Setting, shown: Sequence[str] = ("FRAMES", "P")) -> None:
    frames, predictions = shown
    folder = folder_of_row("warp-refine", rows(setting)["warp-refine"])
    workdir = setting.student_folder(folder, setting.seeds[0])
    print(
        f"for the server: wrp predict --config=… --data={frames} --workdir={workdir} "
        f"--output={predictions} && python -m experiments.submission {kind} "
        f"--predictions={predictions} --output=SUBMISSION"
    )
