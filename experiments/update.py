"""What is a corrected label worth by itself, with ``train.py --update``, and with a new training?

python -m experiments.update DATA RUN SEQUENCE FRAME W [--score SEQUENCE...] [--ways WAY...]
  [--record=NAME]

``DATA`` is a folder of video whose frames all have true labels, ``RUN`` the run of
``configs/folder.py`` on some of them. One label more is given, of ``FRAME``. Warp-inpaint labels
the video with the networks as they are, with segmentation trained on for a short while, and with
one that is trained anew on all labels; the refiner would be the same in the first two. Scored are
the sequences of ``--score`` (all if absent), against the true labels of frames that are not
labelled. ``W`` keeps everything: a run that was stopped goes on, but seconds are then those of the
rest.

Finding: results/update.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.data.label_pictures import read_label
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.files.regular import MAX_BYTES, read_bytes

METHOD = "warp-inpaint"
WAYS = "before", "no training", "update", "anew"
NOTE = (
    "mIoU in %, mean over the frames without a label: of the clip that was given one label more, "
    "and of the others; processor seconds of the training and of the labelling"
)


def run(*command: str) -> float:
    """Runs a command of this checkout; the processor seconds that it took."""
    before = _spent()
    words = [sys.executable, command[0], "--config=configs/folder.py", *command[1:]]
    subprocess.run(words, check=True)
    return _spent() - before


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def frame_scores(
    source: VideoSource, output: Path, sequence: str, labelled: frozenset[str]
) -> list[float]:
    """Scores every frame of a sequence that the program has labelled: mIoU in %."""
    scores = []
    for name in source.frame_names(sequence):
        path = output / sequence / "labels" / f"{name}.png"
        if f"{sequence} {name}" in labelled or not path.exists():
            continue
        said = read_label(read_bytes(path, MAX_BYTES), source.classes, path)
        matrix = confusion(source.label(sequence, name), said, source.classes.num_classes)
        scores.append(100 * mean_iou(matrix, source.classes.void))
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("run", type=Path)
    parser.add_argument("sequence")
    parser.add_argument("frame")
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--score", nargs="+", default=())
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    record_option(parser)
    parsed = parser.parse_args(arguments)
    data, work = parsed.data, parsed.workdir
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "run").exists():
        shutil.copytree(parsed.run, work / "run")
    first = json.loads((work / "run" / "labels.json").read_text())["frames"]
    source = open_source(data)
    scored = tuple(parsed.score) or source.sequences
    new = f"{parsed.sequence} {parsed.frame}"
    frames = {"before": first, "labels": [*first, new]}
    for name, listed in frames.items():
        (work / f"{name}.txt").write_text("".join(f"{frame}\n" for frame in listed))
        own = [frame for frame in listed if frame.split()[0] in scored]
        (work / f"{name}_scored.txt").write_text("".join(f"{frame}\n" for frame in own))

    keys = f"--data={data}", f"--keyframes={work / 'labels.txt'}"
    ways = {
        "before": ("before", work / "run", ()),
        "no training": ("labels", work / "run", ()),
        "update": ("labels", work / "run" / "updates" / "1",
                   ("train.py", *keys, f"--workdir={work / 'run'}", "--update")),
        "anew": ("labels", work / "networks_anew",
                 ("train.py", *keys, f"--workdir={work / 'networks_anew'}",
                  "--config.stages=('segmentation',)")),
    }  # fmt: skip
    figures: dict[str, dict[str, float]] = {}
    for way in parsed.ways:
        listed, networks, training = ways[way]
        output = work / way.replace(" ", "_")
        trained = run(*training) if training else 0.0
        labelled = run(
            "propagate.py", f"--data={data}", f"--keyframes={work / f'{listed}_scored.txt'}",
            f"--workdir={networks}", f"--output={output}", f"--method={METHOD}",
        )  # fmt: skip
        by_clip = {s: frame_scores(source, output, s, frozenset(frames["labels"])) for s in scored}
        others = [
            score for s, scores in by_clip.items() if s != parsed.sequence for score in scores
        ]
        figures[way] = {
            "clip": float(np.mean(by_clip[parsed.sequence])),
            "others": float(np.mean(others)) if others else float("nan"),
            "training seconds": trained,
            "labelling seconds": labelled,
        }
        print(way, figures[way], flush=True)
    if parsed.record:
        write_result(parsed.record, figures, note=NOTE, seeds=[0])


if __name__ == "__main__":
    main()
