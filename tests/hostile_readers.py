"""Every reader of files, and what it makes of damage; ``test_hostile_files.py`` runs it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hand_made import write_state
from hostile import bounded, mutations
from PIL import Image

from wrp_jax.data.flow_files import read_flow, write_flow
from wrp_jax.data.flow_sets.pfm import read_pfm
from wrp_jax.data.label_maps import read_classes
from wrp_jax.labelling.relabelled import WindowLabels
from wrp_jax.labelling.window_result import WindowResult, load_window_result
from wrp_jax.segmentation.predictions import Predictions, write_arrays
from wrp_jax.types import ClassMap, UserError
from wrp_jax.weights.pth_reader import read_pth
from wrp_jax.weights.safetensors_file import read_safetensors, write_safetensors

SIZE = (12, 16)
CLASSES = ClassMap((0, 1), ("road", "car"), np.zeros((2, 3), np.uint8), (False, False))
FIXTURES = pathlib.Path(__file__).parent / "weights" / "fixtures"


class Reader(NamedTuple):
    """A file, how it comes to be, and how it is read."""

    name: str
    write: Callable[[pathlib.Path], Any]
    read: Callable[[pathlib.Path], Any]


def _flow() -> np.ndarray:
    flow = np.random.default_rng(0).normal(size=(*SIZE, 2)).astype(np.float32)
    flow[2, 3] = np.nan
    return flow


def _write_pfm(path: pathlib.Path) -> None:
    flow = np.concatenate([_flow(), np.zeros((*SIZE, 1), np.float32)], -1)
    path.write_bytes(b"PF\n16 12\n-1.0\n" + flow[::-1].astype("<f4").tobytes())


def _write_predictions(path: pathlib.Path) -> None:
    probs = np.random.default_rng(0).uniform(size=(*SIZE, 2)).astype(np.float32)
    probs /= probs.sum(-1, keepdims=True)
    write_arrays(path.parents[2], "s", "a", probs, np.ones((2, 2, 3), np.float32))


def _write_ids(path: pathlib.Path) -> None:
    for kind, value in (("labels", 1), ("confidence", 200)):
        place = path.parents[1] / kind / "a.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(SIZE, value, np.uint8)).save(place)


def _predictions(path: pathlib.Path) -> Any:
    return Predictions(path.parents[2], CLASSES).read("s", "a", SIZE)


def _class_map(path: pathlib.Path) -> Any:
    return Predictions(path.parent, CLASSES)._names


def _write_result(path: pathlib.Path) -> None:
    matrices = {("warp", 1): np.eye(3, dtype=np.int64)}
    made_from = WindowLabels("s", {"a": "0"})
    WindowResult("f" * 64, made_from, "c", {"a": 0.5}, matrices).save(path)


STATE = {"x": np.arange(12, dtype=np.float32).reshape(3, 4), "y": np.array(7)}
READERS = [
    Reader("a.flo", lambda p: write_flow(p, _flow()), lambda p: read_flow(p, SIZE)),
    Reader("a.png", lambda p: write_flow(p, _flow()), lambda p: read_flow(p, SIZE)),
    Reader("a.npz", lambda p: write_flow(p, _flow()), lambda p: read_flow(p, SIZE)),
    Reader("a.pfm", _write_pfm, lambda p: read_pfm(p, SIZE)),
    Reader("s/probs/a.npz", _write_predictions, _predictions),
    Reader("s/labels/a.png", _write_ids, _predictions),
    Reader("s/confidence/a.png", _write_ids, _predictions),
    Reader(
        "class_map.json",
        lambda p: p.write_text(json.dumps({"classes": {"0": "road", "7": "car", "9": None}})),
        _class_map,
    ),
    Reader(
        "classes.json",
        lambda p: p.write_text(
            json.dumps({"classes": [{"id": 0, "name": "road"}, {"id": 9, "name": "car"}]})
        ),
        read_classes,
    ),
    Reader("zip.pth", lambda p: write_state(p, STATE, "zip"), read_pth),
    Reader("legacy.pth", lambda p: write_state(p, STATE, "legacy"), read_pth),
    Reader("torch.pth", lambda p: p.write_bytes((FIXTURES / "zip.pth").read_bytes()), read_pth),
    Reader(
        "torch_legacy.pth",
        lambda p: p.write_bytes((FIXTURES / "legacy.pth").read_bytes()),
        read_pth,
    ),
    Reader("a.safetensors", lambda p: write_safetensors(p, STATE, {}), read_safetensors),
    Reader("window.npz", _write_result, lambda p: load_window_result(p, "f" * 64)),
]


def damaged(folder: str, count: int) -> dict[str, list[int]]:
    """How many damaged files each reader was given, and how many of them it refused."""
    found = {}
    for number, reader in enumerate(READERS):
        path = pathlib.Path(folder, str(number), reader.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        reader.write(path)
        whole, expected = path.read_bytes(), reader.read(path)
        given = refused = 0
        for data in mutations(whole, count, seed=number):
            path.write_bytes(data)
            given += 1
            got = bounded(lambda path=path, reader=reader: reader.read(path), small=True)
            if isinstance(got, UserError):
                refused += 1
                assert "/" in str(got), got
            elif isinstance(expected, np.ndarray):
                assert got.shape == expected.shape and got.dtype == expected.dtype
            else:
                assert got is None or type(got) is type(expected)
        found[f"{number} {reader.name}"] = [given, refused]
    return found


WITH_SUMS = {
    "a.png": (lambda p: write_flow(p, _flow()), lambda p: read_flow(p, SIZE)),
    "a.npz": (lambda p: write_flow(p, _flow()), lambda p: read_flow(p, SIZE)),
    "s/probs/a.npz": (_write_predictions, lambda p: _predictions(p)[0]),
    "zip.pth": (lambda p: write_state(p, STATE, "zip"), lambda p: read_pth(p)["x"]),
}


"""What has a sum over all of its numbers: there a flipped bit is told or makes no difference."""


def flipped(folder: str, count: int) -> dict[str, list[int]]:
    """How many flipped bits there were, and how many files were refused; never another value."""
    found = {}
    for number, (name, (write, read)) in enumerate(WITH_SUMS.items()):
        path = pathlib.Path(folder, str(number), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        whole, expected = path.read_bytes(), read(path)
        bits = np.random.default_rng(number).choice(8 * len(whole), count)
        refused = 0
        for bit in bits:
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << int(bit) % 8
            path.write_bytes(changed)
            got = bounded(lambda path=path, read=read: read(path), small=True)
            if isinstance(got, UserError):
                refused += 1
            else:
                np.testing.assert_array_equal(got, expected)
        found[name] = [len(bits), refused]
    return found
