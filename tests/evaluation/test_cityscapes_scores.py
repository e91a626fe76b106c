"""Scores of Cityscapes against the published definition, pixel by pixel in plain loops."""

import json
import pathlib

import numpy as np
import pytest

from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.evaluation.cityscapes import CATEGORIES, MEAN_SIZE, NAMES, CityscapesScores

CASES = pathlib.Path(__file__).parent / "cityscapes_cases.json"
HUMAN, VEHICLE = {24, 25}, {26, 27, 28, 29, 30, 31, 32, 33}


def pictures(seed):
    """Two pictures of blocks; instances of ids 24 … 33, some of them groups."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(2):
        truth = np.kron(rng.integers(0, 34, (4, 5)), np.ones((3, 3), int))
        said = np.where(rng.random(truth.shape) < 0.6, truth, rng.choice([*NAMES], truth.shape))
        number = np.kron(rng.integers(0, 3, (4, 5)), np.ones((3, 3), int))
        things = (truth >= 24) & (number > 0)
        made.append((truth, said, np.where(things, truth * 1000 + number, truth)))
    return made


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
    made = pictures(seed)
    found, expected = scores(made), by_loops(made)
    for title, kinds in expected.items():
        for kind, by_name in kinds.items():
            there = [value for value in by_name.values() if value is not None]
            assert found[title][kind] == pytest.approx({**by_name, "mean": np.mean(there)})


def test_agrees_with_stored_cases():
    for case in json.loads(CASES.read_text()):
        made = [tuple(np.array(x) for x in picture) for picture in case["pictures"]]
        found = scores(made)
        for title, kinds in case["scores"].items():
            for kind, value in kinds.items():
                assert found[title][kind]["mean"] == pytest.approx(value)


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
