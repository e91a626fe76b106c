"""What published evaluators say of random label maps; needs neither this project nor a test runner.

  python -m venv E && E/bin/pip install -r tests/evaluation/published_evaluators.txt
  E/bin/python tests/evaluation/published_evaluators.py 0 1 > tests/evaluation/published_scores.json

The numbers are seeds, one case each. With EVALUATED=FILE the tests compare other cases than those
that are stored.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SCORED = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
"""Label ids of Cityscapes that are scored."""

VOID, CLASSES = 0, 6
"""Of the maps for pixel and mean accuracy: the class that is left out, and how many there are."""


def street_pictures(seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Label ids, predictions and instance ids of two pictures of blocks, some of them groups."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(2):
        truth = np.kron(rng.integers(0, 34, (5, 6)), np.ones((3, 3), int))
        said = np.where(rng.random(truth.shape) < 0.6, truth, rng.choice(SCORED, truth.shape))
        said[:2] = rng.integers(0, 34, said[:2].shape)  # ids that are not scored, too
        number = np.kron(rng.integers(0, 3, (5, 6)), np.ones((3, 3), int))
        things = (truth >= 24) & (number > 0)
        made.append((truth, said, np.where(things, truth * 1000 + number, truth)))
    return made


def room_picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes and predictions, 0 being void; one class is never true."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES - 1, (12, 10))
    said = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, CLASSES, truth.shape))
    return truth, said


def by_cityscapes_scripts(made: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Scores in % by name, for classes and categories, without those that are not a number."""
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluator
    from PIL import Image

    options = evaluator.args
    options.quiet, options.JSONOutput = True, False
    with tempfile.TemporaryDirectory() as folder:
        said_files, true_files = [], []
        for i, (truth, said, instances) in enumerate(made):
            said_files.append(str(Path(folder) / f"{i}.png"))
            true_files.append(str(Path(folder) / f"{i}_gtFine_labelIds.png"))
            Image.fromarray(said.astype(np.uint8)).save(said_files[-1])
            Image.fromarray(truth.astype(np.uint8)).save(true_files[-1])
            Image.fromarray(instances.astype(np.uint16)).save(
                true_files[-1].replace("labelIds", "instanceIds")
            )
        found = evaluator.evaluateImgLists(said_files, true_files, options)
    kinds = {
        "class": ("classScores", "classInstScores", "Classes"),
        "category": ("categoryScores", "categoryInstScores", "Categories"),
    }
    return {
        title: {
            "IoU": _percent({**found[plain], "mean": found[f"averageScore{end}"]}),
            "iIoU": _percent({**found[weighted], "mean": found[f"averageScoreInst{end}"]}),
        }
        for title, (plain, weighted, end) in kinds.items()
    }


def by_scikit_learn(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Pixel accuracy, mean accuracy of classes and mean IoU in %, without true pixels of void."""
    from sklearn import metrics

    known = truth != VOID
    true, told = truth[known], said[known]
    present = np.unique(true)
    scores = {
        "pixel_accuracy": metrics.accuracy_score(true, told),
        "mean_accuracy": metrics.recall_score(true, told, labels=present, average="macro"),
        "miou": metrics.jaccard_score(true, told, labels=present, average="macro"),
    }
    return {name: 100.0 * float(value) for name, value in scores.items()}


def _percent(scores: dict[str, float]) -> dict[str, float]:
    return {k: round(100.0 * float(v), 9) for k, v in scores.items() if not math.isnan(v)}


def _case(seed: int) -> dict[str, Any]:
    streets, room = street_pictures(seed), room_picture(seed)
    return {
        "pictures": [[part.tolist() for part in picture] for picture in streets],
        "scores": by_cityscapes_scripts(streets),
        "room": [part.tolist() for part in room],
        "room_scores": by_scikit_learn(*room),
    }


if __name__ == "__main__":
    cases = [_case(int(seed)) for seed in sys.argv[1:]]
    print(json.dumps(cases, separators=(",", ":")))
