"""What the servers of Cityscapes and KITTI take, made of what ``wrp predict`` wrote.

  wrp predict --config=… --data=D --workdir=W --output=P
  python -m experiments.submission cityscapes --predictions=P --output=SUBMISSION
  python -m experiments.submission cityscapes --predictions=P --output=SUBMISSION --truth=CITYSCAPES

D is what ``wrp convert`` made, or a folder with its ``classes.json`` and the frames of the test
split by the names of the set. SUBMISSION holds one grey PNG of label ids per frame, of the frame's
size: ``<city>_<drive>_<frame>.png`` for Cityscapes, ``<scene>_10.png`` for KITTI, which is to be
packed as it is. With --truth (``gtFine`` of Cityscapes, ``training`` of KITTI is ``semantic``) the
frames that have labels are scored as the servers score them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

from wrp_jax.data import images
from wrp_jax.data.public_sets.cityscapes import cityscapes_ids
from wrp_jax.evaluation.cityscapes import NAMES, CityscapesScores
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.output import check_output
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError

FILES = {
    "cityscapes": (re.compile(r"[a-z-]+_\d{6}_\d{6}"), (1024, 2048)),
    "kitti": (re.compile(r"\d{6}_10"), None),
}
"""Names that the server looks for, and the size of all frames where there is one."""


def write_submission(kind: str, predictions: Path, output: Path) -> list[str]:
    """Writes the files of one server.

    Args:
      kind: a key of ``FILES``.
      predictions: of ``wrp predict``: ``<sequence>/labels/<frame>.png``.
      output: the folder to write.

    Returns:
      Names of the frames.

    Raises:
      UserError: no predictions by the names of the set, one frame twice, another size, or ids that
        the server does not score.
    """
    check_output(output, predictions)
    pattern, size = FILES[kind]
    found: dict[str, Path] = {}
    for path in sorted(predictions.glob("*/labels/*.png")):
        if not pattern.fullmatch(path.stem):
            continue
        if path.stem in found:
            raise UserError(
                f"there are two predictions of {path.stem}, {found[path.stem]} and {path}."
            )
        found[path.stem] = path
    if not found:
        raise UserError(
            f"{predictions} holds no <sequence>/labels/*.png by the names of {kind}: give the "
            "--output of wrp predict."
        )
    for name, path in found.items():
        ids = images.decode_label(read_bytes(path), path).pixels
        if size is not None and ids.shape != size:
            raise UserError(
                f"{path} is {ids.shape[1]}x{ids.shape[0]}, and frames of {kind} are "
                f"{size[1]}x{size[0]}: predict frames of the whole size."
            )
        strange = set(np.unique(ids).tolist()) - NAMES.keys() - {0}
        if strange:
            raise UserError(
                f"{path} holds the id {min(strange)}, which is not scored: predict again."
            )
        write_atomically(output / f"{name}.png", images.encode_png(ids))
    return list(found)


def score_submission(kind: str, output: Path, truth: Path) -> dict:
    """The scores of the files of `write_submission` whose labels are there.

    Args:
      kind: a key of ``FILES``.
      output: the submission.
      truth: holds ``*_gtFine_labelIds.png`` and ``instanceIds``, or ``semantic`` and
        ``instance``; those of instances may be missing.

    Raises:
      UserError: there is no label of any of them.
    """
    scores, count = CityscapesScores(), 0
    for path in sorted(output.glob("*.png")):
        found = truth_of(kind, path.stem, truth)
        if found is None:
            continue
        count += 1
        said = images.decode_label(read_bytes(path), path).pixels
        if found[0].shape != said.shape:
            raise UserError(f"{path} and its label are of different sizes: predict again.")
        scores.add(found[0], said, found[1])
    if not count:
        raise UserError(f"{truth} holds no label of the frames of {output}: give the set's labels.")
    return {"frames": count, **scores.scores()}


def truth_of(kind: str, name: str, truth: Path) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The label of a frame as the set's authors give it.

    Args:
      kind: a key of ``FILES``.
      name: of the frame.
      truth: see `score_submission`.

    Returns:
      Ids as `CityscapesScores` takes them, and ids of instances, None where these are not there;
      None where there is no label.
    """
    if kind == "cityscapes":
        label = next(iter(truth.rglob(f"{name}_gtFine_labelIds.png")), None)
        numbers = label and label.with_name(label.name.replace("labelIds", "instanceIds"))
    else:
        label = next(iter(truth.rglob(f"semantic/{name}.png")), None)
        numbers = label and label.parents[1] / "instance" / label.name
    if label is None:
        return None
    true = images.decode_label(read_bytes(label), label).pixels.astype(np.int32)
    instances = None
    if numbers and numbers.is_file():
        instances = images.decode_label(read_bytes(numbers), numbers).pixels.astype(np.int32)
        if kind == "kitti":  # 256 times the class plus the number, where there is one
            own, number = instances // 256, instances % 256
            instances = np.where(number > 0, own * 1000 + number, own)
    return np.where(np.isin(true, [*cityscapes_ids()]), true, 0), instances


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser("experiments.submission", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("set", choices=FILES)
    for name in ("predictions", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    options = parser.parse_args(arguments)
    try:
        names = write_submission(options.set, options.predictions, options.output)
        print(f"{len(names)} files for the server of {options.set} in {options.output}.")
        if options.truth:
            print(
                json.dumps(score_submission(options.set, options.output, options.truth), indent=1)
            )
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
