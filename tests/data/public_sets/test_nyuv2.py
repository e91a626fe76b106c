"""A made-up NYU-Depth V2: three files of MATLAB, five pictures of 4x6."""

import sys

import h5py
import numpy as np
import pytest
import scipy.io
from made_up_sets import (
    converted,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    written,
)

from wrp_jax.data.public_sets.convert import PUBLIC_SETS

NAMES = ("wall", "floor", "otherprop")
MAPPING = (3, 1, 2, 3, 3)
TRAIN, TEST = (2, 4, 5), (3, 1)


def _write_set(path, images, labels):
    """Axes as h5py sees those of MATLAB: the last comes first."""
    with h5py.File(path, "w") as file:
        file["images"] = np.transpose(images, (0, 3, 2, 1))
        file["labels"] = np.transpose(labels, (0, 2, 1))


def _pictures():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 4, 6, 3), np.uint8)
    labels = rng.integers(0, len(MAPPING) + 1, (5, 4, 6), np.uint16)
    return images, labels


def _write_cells(path, names, mapping):
    cells = np.empty((1, len(names)), object)
    cells[0] = names
    scipy.io.savemat(path, {"className": cells, "mapClass": np.array([mapping], np.uint8)})


@pytest.fixture
def given(tmp_path):
    root = tmp_path / "nyu"
    root.mkdir()
    _write_set(root / "nyu_depth_v2_labeled.mat", *_pictures())
    columns = {"trainNdxs": np.c_[list(TRAIN)], "testNdxs": np.c_[list(TEST)]}
    scipy.io.savemat(root / "splits.mat", columns)
    _write_cells(root / "classMapping40.mat", NAMES, MAPPING)
    return root


def test_pictures_labels_and_splits(given, tmp_path):
    source = converted("nyuv2", given, tmp_path / "D")
    assert source.classes.names == (*NAMES, "void") and source.classes.ids == (1, 2, 3, 0)
    assert source.classes.void == (False, False, False, True)
    assert source.sequences == ("test", "train")
    assert rows(tmp_path / "D", "train") == [("train", f"{i:04d}") for i in (2, 4, 5)]
    assert rows(tmp_path / "D", "test") == [("test", f"{i:04d}") for i in (1, 3)]
    images, labels = _pictures()
    table = np.array([0, *MAPPING])
    for split, numbers in (("train", TRAIN), ("test", TEST)):
        for number in numbers:
            name = f"{number:04d}"
            np.testing.assert_array_equal(source.frame(split, name), images[number - 1])
            np.testing.assert_array_equal(written(source, split, name), table[labels[number - 1]])


def test_a_stopped_run_goes_on(given, tmp_path):
    expect_resume("nyuv2", given, tmp_path / "D")


def test_without_h5py_the_extra_is_named(given, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    expect_sentence("nyuv2", given, tmp_path / "D", r"pip install -e \"\.\[nyu\]\"")


@parametrize_mistakes(
    ("nothing", "holds no nyu_depth_v2_labeled.mat nor splits.mat nor classMapping40.mat"),
    ("split", "holds no splits.mat: put"),
    ("broken", "nyu_depth_v2_labeled.mat cannot be read"),
    ("matlab", "splits.mat cannot be read"),
    ("number", "trainNdxs must be numbers from 1 to 5"),
    ("mapping", "mapClass must be numbers from 1 to 2"),
    ("size", r"cannot be read \(images of .*, labels of"),
    ("ids", "picture 4 has 24 pixels with ids that are none of this set, the first 6"),
)
def test_mistakes_are_told_in_one_sentence(given, tmp_path, spoil, says):
    data = given
    images, labels = _pictures()
    if spoil == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
    elif spoil == "split":
        (data / "splits.mat").unlink()
    elif spoil == "broken":
        (data / "nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB 7.3")
    elif spoil == "matlab":
        (data / "splits.mat").write_bytes(b"nothing of the kind")
    elif spoil == "number":
        scipy.io.savemat(data / "splits.mat", {"trainNdxs": [[0]], "testNdxs": [[1]]})
    elif spoil == "mapping":
        _write_cells(data / "classMapping40.mat", NAMES[:2], MAPPING)
    elif spoil == "size":
        _write_set(data / "nyu_depth_v2_labeled.mat", images, labels[:, :3])
    else:
        labels[3] = 6
        _write_set(data / "nyu_depth_v2_labeled.mat", images, labels)
    early = spoil != "ids"
    expect_sentence("nyuv2", data, tmp_path / "D", says, untouched=early)


def test_a_missing_variable(given, tmp_path):
    scipy.io.savemat(given / "splits.mat", {"trainNdxs": [[1]]})
    expect_sentence("nyuv2", given, tmp_path / "D", r"cannot be read \('testNdxs'\)")
    assert "nyuv2" in PUBLIC_SETS
