"""Whatever is opened is a regular file; nothing waits for a pipe or reads a device."""

from __future__ import annotations

import ast
import json
import os
import pathlib
import re
import signal
import socket

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.flow_files import read_flow
from wrp_jax.data.flow_sets.pfm import read_pfm
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import parse_stills
from wrp_jax.data.windows import read_frames
from wrp_jax.files import regular
from wrp_jax.files.regular import open_regular, read_bytes, sha256
from wrp_jax.segmentation.predictions import Predictions
from wrp_jax.types import ClassMap, UserError
from wrp_jax.weights.convert import convert_weights
from wrp_jax.weights.load import load_weights

PACKAGE = pathlib.Path(__file__).parents[2] / "wrp_jax"
CLASSES = ClassMap((0, 1), ("road", "car"), np.zeros((2, 3), np.uint8), (False, False))


@pytest.fixture(autouse=True)
def _no_waiting():
    def waited(number, frame):
        raise AssertionError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _pipe(path: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_other_kinds_are_refused_and_named(tmp_path):
    with pytest.raises(UserError, match=r"^[^']*a\.png is a named pipe: give a .*in it\.$"):
        read_bytes(_pipe(tmp_path / "a.png"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(UserError, match="is a socket"):
            read_bytes(tmp_path / "s")
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(UserError, match="is a device"):
            read_bytes(device)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is a device"):
        sha256(tmp_path / "link")
    with pytest.raises(UserError, match="is a folder: give a regular file"):
        read_bytes(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        read_bytes(tmp_path / "none")
    with pytest.raises(UserError, match="null byte"):
        read_bytes("a\0b")


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"x")
    look = os.stat

    def swapped(place, *args, **kwargs):
        found = look(place, *args, **kwargs)
        if os.fspath(place) == str(path):
            _pipe(path)
        return found

    monkeypatch.setattr(regular.os, "stat", swapped)
    with pytest.raises(UserError, match="named pipe"):
        open_regular(path)


def test_a_file_longer_than_anything_that_is_read_is_refused_unread(tmp_path):
    path = tmp_path / "a.flo"
    with path.open("wb") as file:
        file.truncate(2**42)  # sparse: it takes no room
    with pytest.raises(UserError, match="has 4398046511104 bytes and may have"):
        read_flow(path)
    path.write_bytes(b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(UserError, match="has 5 bytes and may have 4"):
        read_bytes(path, limit=4)


def _folder(root: pathlib.Path) -> pathlib.Path:
    for kind in ("frames", "labels"):
        (root / "s" / kind).mkdir(parents=True)
        for name in ("a", "b"):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "s" / kind / f"{name}.png")
    classes = [{"id": 0, "name": "road"}, {"id": 1, "name": "car"}]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    return root


PLACES = {
    "frame": ("s/frames/a.png", lambda d: open_folder(d).frame("s", "a")),
    "frame's header": ("s/frames/a.png", lambda d: open_folder(d).frame_size("s", "a")),
    "label": ("s/labels/a.png", lambda d: open_folder(d).label("s", "a")),
    "classes": ("classes.json", open_folder),
    "order": ("s/frames.txt", open_folder),
    "list": ("list.txt", lambda d: read_frames(d / "list.txt", open_folder(d))),
    "stills": ("list.txt", lambda d: parse_stills(f"{d}:list.txt")),
    "class map": ("class_map.json", lambda d: Predictions(d, CLASSES)),
    "arrays": ("s/probs/a.npz", lambda d: Predictions(d, CLASSES).read("s", "a", (8, 8))),
    "ids": ("s/labels/a.png", lambda d: Predictions(d, CLASSES).read("s", "a", (8, 8))),
    "confidence": ("s/confidence/a.png", lambda d: Predictions(d, CLASSES).read("s", "a", (8, 8))),
    "flo": ("a.flo", lambda d: read_flow(d / "a.flo", (8, 8))),
    "kitti": ("a.png", lambda d: read_flow(d / "a.png", (8, 8))),
    "npz": ("a.npz", lambda d: read_flow(d / "a.npz", (8, 8))),
    "pfm": ("a.pfm", lambda d: read_pfm(d / "a.pfm", (8, 8))),
    "pth": ("a.pth", lambda d: load_weights(d / "a.pth", "raft_small")),
    "safetensors": ("a.safetensors", lambda d: load_weights(d / "a.safetensors", "raft_small")),
    "to convert": (
        "a.pth",
        lambda d: convert_weights(str(d / "a.pth"), str(d / "b"), "raft_small"),
    ),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_pipe_in_the_place_of_any_file_is_refused(tmp_path, what):
    place, read = PLACES[what]
    data = _folder(tmp_path / "data")
    _pipe(data / place)
    with pytest.raises(UserError, match=rf"{re.escape(place)} is a named pipe"):
        read(data)


def test_nothing_else_opens_files():
    """Reading past ``open_regular``: ``read_bytes`` and ``read_text`` of a path, ``open``."""
    others = []
    # These read what the commands' modules say of themselves, what the kernel says of the CPU, and
    # objects at addresses, which are no files.
    own = {PACKAGE / name for name in ("cli/main.py", "cli/compiled.py", "files/object_store.py")}
    for path in sorted(set(PACKAGE.rglob("*.py")) - own):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            opens = name == "open" or name.endswith((".open", ".read_bytes", ".read_text"))
            if opens and not _is_known(name, node):
                others.append(f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}")
            if name in ("np.load", "np.fromfile", "np.loadtxt", "json.load", "cv2.imread"):
                others.append(f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}")
    assert not others


def _is_known(name: str, node: ast.Call) -> bool:
    """What is opened for writing, is no path, or comes with the package."""
    written = {"'wb'", "'a'", "'rb+'"} & {ast.unparse(argument) for argument in node.args[:2]}
    others = ("os.open", "Image.open", "self._archive.open", "images.read_bytes", "webbrowser.open")
    opened = name == "av.open" and ast.unparse(node.args[0]) == "file"
    return bool(written) or opened or name in others or name.startswith("importlib.resources")
