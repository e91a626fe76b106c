"""Scores of Cityscapes and NYU-Depth V2: against published evaluators, and in plain loops."""

import json
import os
import pathlib

import numpy as np
import pytest
from published_evaluators import CLASSES, VOID, street_pictures

from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.evaluation.cityscapes import CATEGORIES, MEAN_SIZE, NAMES, CityscapesScores
from wrp_jax.evaluation.confusion import confusion, mean_accuracy, mean_iou, pixel_accuracy

_STORED = pathlib.Path(__file__).parent / "published_scores.json"
CASES = json.loads(pathlib.Path(os.environ.get("EVALUATED", _STORED)).read_text())
"""Label maps, and what published evaluators say of them; see ``published_evaluators``."""
HUMAN, VEHICLE = {24, 25}, {26, 27, 28, 29, 30, 31, 32, 33}


def by_loops(made):
    """IoU and iIoU by name as the definition says it, without any table of counts."""

    def score(own, said_as_own, weighted):
        hits = misses = false = 0.0
        for truth, said, instances in made:
            for t, s, i in zip(truth.flat, said.flat, instances.flat, strict=True):
                if t in own and not weighted:
                    hits, misses = hits + (s in own), misses + (s not in own)
                elif t in own and i > 1000:
                    weight = MEAN_SIZE[t] / np.count_nonzero(instances == i)
                    right = s in said_as_own if len(own) > 1 else s == t
                    hits, misses = hits + weight * right, misses + weight * (not right)
                elif t in NAMES and t not in own:
                    false += s in said_as_own
        total = hits + misses + false
        return 100 * hits / total if total else None

    found = {
        "class": {"IoU": {}, "iIoU": {}}, "category": {"IoU": {}, "iIoU": {}}
    }  # fmt: skip
    for own, name in NAMES.items():
        found["class"]["IoU"][name] = score({own}, {own}, False)
        if own >= 24:
            found["class"]["iIoU"][name] = score({own}, {own}, True)
    for name, own in CATEGORIES.items():
        found["category"]["IoU"][name] = score(set(own), set(own), False)
        if name in ("human", "vehicle"):
            also = HUMAN if name == "human" else VEHICLE
            found["category"]["iIoU"][name] = score(set(own), also, True)
    return found


def scores(made):
    sums = CityscapesScores()
    for picture in made:
        sums.add(*picture)
    return sums.scores()


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(seed):
    made = street_pictures(seed)
    found, expected = scores(made), by_loops(made)
    for title, kinds in expected.items():
        for kind, by_name in kinds.items():
            there = [value for value in by_name.values() if value is not None]
            assert found[title][kind] == pytest.approx({**by_name, "mean": np.mean(there)})


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_agrees_with_published_evaluators(case):
    found = scores([tuple(np.array(part) for part in picture) for picture in case["pictures"]])
    for title, kinds in case["scores"].items():
        for kind, by_name in kinds.items():
            ours = {k: v for k, v in found[title][kind].items() if v is not None}
            assert ours == pytest.approx(by_name), (title, kind)
    truth, said = (np.array(part) for part in case["room"])
    matrix = confusion(truth, said, CLASSES)
    void = [i == VOID for i in range(CLASSES)]
    ours = {
        "pixel_accuracy": pixel_accuracy(matrix, void),
        "mean_accuracy": mean_accuracy(matrix, void),
        "miou": mean_iou(matrix, void),
    }
    assert {k: 100 * v for k, v in ours.items()} == pytest.approx(case["room_scores"])


def test_a_class_that_is_said_and_never_true_counts():
    truth = np.full((2, 4), 7)
    said = np.array([[7, 7, 7, 8]] * 2)
    found = scores([(truth, said)])
    assert found["class"]["IoU"]["sidewalk"] == 0.0  # not left out
    assert found["class"]["IoU"]["mean"] == pytest.approx(37.5)
    assert found["category"]["IoU"]["mean"] == pytest.approx(100.0)
    ignored = scores([(np.zeros((2, 4), int), said)])
    assert ignored["class"]["IoU"]["mean"] is None  # what is said there is not looked at


def test_the_classes_are_those_of_the_reader():
    classes = cityscapes_classes()
    scored = {
        i: n for i, n, v in zip(classes.ids, classes.names, classes.void, strict=True) if not v
    }
    assert scored == dict(NAMES)
    assert sorted(i for ids in CATEGORIES.values() for i in ids) == sorted(NAMES)
