"""A made-up Mapillary Vistas of pictures of 4x6, both versions of the labels side by side."""

import json

import numpy as np
import pytest
from made_up_sets import (
    converted,
    expect_clips,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    void_names,
    write,
    write_pair,
    written,
)

from wrp_jax.config import published_protocol
from wrp_jax.segmentation.for_classes import scores_of

CLASSES = {
    "v1.2": (
        ("animal--bird", True),
        ("construction--flat--road", True),
        ("void--unlabeled", False),
    ),
    "v2.0": (
        ("animal--bird", True),
        ("construction--barrier--ambiguous", False),
        ("construction--flat--road", True),
        ("void--unlabeled", False),
    ),
}
TRAIN, VAL = "-0aBc_dEf", "zz9"


def _config(path, classes):
    labels = [
        {"name": name, "readable": "x", "color": [i, 2 * i, 3], "instances": False, "evaluate": e}
        for i, (name, e) in enumerate(classes)
    ]
    path.write_text(json.dumps({"labels": labels, "version": 1.2}))


@pytest.fixture
def unpacked(tmp_path):
    root = tmp_path / "vistas"
    for split, key, value in (("training", TRAIN, 1), ("validation", VAL, 2)):
        for version, classes in CLASSES.items():
            ids = np.arange(24).reshape(4, 6) % len(classes)
            label = root / split / version / "labels" / f"{key}.png"
            write_pair(root / split / "images" / f"{key}.jpg", label, ids, value)
    write(root / "testing/images/unknown.jpg", np.zeros((4, 6, 3)))
    for version, classes in CLASSES.items():
        _config(root / f"config_{version}.json", classes)
    return root


@pytest.mark.parametrize("version", ["v1.2", "v2.0"])
def test_classes_are_those_of_the_sets_own_file(unpacked, tmp_path, version):
    source = converted(f"mapillary_{version}", unpacked, tmp_path / "D")
    assert source.sequences == ("training", "validation")
    names, evaluated = zip(*CLASSES[version], strict=True)
    assert source.classes.names == names and source.classes.ids == tuple(range(len(names)))
    assert source.classes.void == tuple(not e for e in evaluated)
    assert source.classes.colors[1].tolist() == [1, 2, 3]
    assert scores_of(published_protocol(), source.classes) == 2
    assert rows(tmp_path / "D", "training") == [("training", TRAIN)]
    assert rows(tmp_path / "D", "validation") == [("validation", VAL)]
    expected = np.arange(24).reshape(4, 6) % len(names)
    np.testing.assert_array_equal(written(source, "training", TRAIN), expected)
    assert (source.frame("validation", VAL) == 2).all()
    assert "void--unlabeled" in void_names(source.classes)


def test_the_first_release_of_v1_2(tmp_path):
    root = tmp_path / "first"
    write_pair(root / "training/images/a.jpg", root / "training/labels/a.png", np.ones((4, 6)))
    root.joinpath("training/instances").mkdir()
    _config(root / "config.json", CLASSES["v1.2"])
    source = converted("mapillary_v1.2", root, tmp_path / "D")
    assert source.classes.names[1] == "construction--flat--road"
    assert (written(source, "training", "a") == 1).all()


def test_clips_of_it(unpacked, tmp_path):
    source, lists = expect_clips("mapillary_v2.0", unpacked, tmp_path)
    assert source.sequences == ("training", "validation") and not lists


def test_a_stopped_run_goes_on(unpacked, tmp_path):
    expect_resume("mapillary_v2.0", unpacked, tmp_path / "D")


@parametrize_mistakes(
    ("nothing", r"holds no config_v1.2.json nor config.json"),
    ("labels", r"holds no training/v1.2/labels/\*.png"),
    ("frame", r"labels/-0aBc_dEf.png has no frame .*training/images/-0aBc_dEf.jpg"),
    ("size", r"-0aBc_dEf.png is .*but its frame is 6x4"),
    ("ids", r"-0aBc_dEf.png has 24 pixels with ids that are none of this set, the first 3"),
    ("json", r"config_v1.2.json is no list of classes"),
    ("evaluate", r"config_v1.2.json is no list of classes of Mapillary Vistas \('evaluate'\)"),
    ("version", r"holds results of a run that differs in set"),
)
def test_mistakes_are_told_in_one_sentence(unpacked, tmp_path, spoil, says):
    data, out = unpacked, tmp_path / "D"
    label = data / "training/v1.2/labels" / f"{TRAIN}.png"
    config = data / "config_v1.2.json"
    if spoil == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
    elif spoil == "labels":
        for split in ("training", "validation"):
            (data / split / "v1.2").rename(data / split / "elsewhere")
    elif spoil == "frame":
        (data / "training/images" / f"{TRAIN}.jpg").unlink()
    elif spoil == "size":
        write(label, np.zeros((4, 5)))
    elif spoil == "ids":
        write(label, np.full((4, 6), 3))
    elif spoil == "json":
        config.write_text("{")
    elif spoil == "evaluate":
        config.write_text(json.dumps({"labels": [{"name": "a", "color": [0, 0, 0]}]}))
    else:
        converted("mapillary_v2.0", data, out)
    early = spoil not in ("size", "ids", "version")
    expect_sentence("mapillary_v1.2", data, out, says, untouched=early)
