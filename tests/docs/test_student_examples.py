"""The examples of docs/STUDENTS.md run as they stand; PyTorch is stood in for by a few names."""

import pathlib
import re
import sys
import types

import numpy as np
import pytest

from wrp_jax.data.arrays import ArraySource
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.tfds.export import ExportRow, export_tfds

TEXT = (pathlib.Path(__file__).parents[2] / "docs" / "STUDENTS.md").read_text()


def example(name):
    return re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """``OUT/tfds`` of nine frames; pixels of the upper half are surer than 0.9."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (9, 16, 24, 3), np.uint8)
    labels = rng.integers(0, 2, (9, 16, 24))
    source = ArraySource({"s": (frames, {4: labels[4]})}, ["road", "car"])
    writer, names = LabelWriter(tmp_path / "OUT", source.classes), source.frame_names("s")
    confidence = np.repeat(np.float32([0.95, 0.5]), 8)[:, None].repeat(24, 1)
    for i, name in enumerate(names):
        writer.write("s", name, labels[i], confidence)
    rows = [ExportRow("s", name, names[4], i - 4) for i, name in enumerate(names)]
    export_tfds(tmp_path / "OUT" / "tfds", source, rows, writer)
    monkeypatch.chdir(tmp_path)
    labels[:, 8:] = 255
    return frames[0:9:2][[0, 1, 3, 4]], labels[0:9:2][[0, 1, 3, 4]]  # ±2 and ±4


def test_grain(here):
    frames, labels = here
    found = {}
    exec(example("grain"), found)
    batch = found["batch"]
    assert batch["image"].shape == (4, 16, 24, 3) and batch["label"].shape == (4, 16, 24)
    order = [int(np.flatnonzero((frames == x).all((1, 2, 3)))[0]) for x in batch["image"]]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_array_equal(batch["label"], labels[order])
    second = next(found["iterator"])
    found["iterator"].set_state(found["state"])
    again = next(found["iterator"])
    np.testing.assert_array_equal(again["image"], second["image"])


class Tensor(np.ndarray):
    def float(self):
        return self.astype(np.float32)


def test_torch_without_torch(here, monkeypatch):
    frames, labels = here
    torch = types.ModuleType("torch")
    torch.from_numpy = lambda x: x.view(Tensor)
    torch.utils = types.SimpleNamespace(
        data=types.SimpleNamespace(Dataset=object, DataLoader=lambda data, **more: data)
    )
    torch.nn = types.SimpleNamespace(CrossEntropyLoss=lambda ignore_index: None)
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = {}
    exec(example("torch"), found)
    data = found["loader"]
    assert len(data) == 4
    for i in range(4):
        image, label = data[i]
        assert image.dtype == np.float32 and label.dtype == np.int64
        np.testing.assert_allclose(image, frames[i].transpose(2, 0, 1) / 255, atol=1e-6)
        np.testing.assert_array_equal(label, labels[i])
