"""Bad pictures, found before anything is written."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import validate
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.types import UserError, Window


def _cut(path: Path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _save(path: Path, pixels: np.ndarray, kind: str = "PNG"):
    path.unlink(missing_ok=True)
    Image.fromarray(pixels).save(path, format=kind)


LABEL, FRAME = "a/labels/000001.png", "a/frames/000002.jpg"
MISTAKES = {
    "label of another size": (LABEL, lambda p: _save(p, np.zeros((5, 5), np.uint8)), "5x5"),
    "ids outside": (LABEL, lambda p: _save(p, np.full((17, 31), 3, np.uint8)), "527 pixels"),
    "colour label": (LABEL, lambda p: _save(p, np.zeros((17, 31, 3), np.uint8)), "colour"),
    "1-bit label": (LABEL, lambda p: _save(p, np.zeros((17, 31), bool)), "1-bit mask"),
    "float label": (
        LABEL,
        lambda p: _save(p, np.zeros((17, 31), np.float32), "TIFF"),
        "float32",
    ),
    "jpeg label": (
        LABEL,
        lambda p: _save(p, np.tile(np.arange(31, dtype=np.uint8), (17, 1)), "JPEG"),
        "holds JPEG data",
    ),
    "cut label": (LABEL, _cut, "is damaged"),
    "empty label": (LABEL, lambda p: p.write_bytes(b""), "0 bytes"),
    "cut frame": (FRAME, _cut, "cut off"),
    "empty frame": (FRAME, lambda p: p.write_bytes(b""), "0 bytes"),
    "text as frame": (FRAME, lambda p: p.write_text("frame"), "not a picture"),
    "16-bit frame": (
        FRAME,
        lambda p: _save(p, np.zeros((17, 31), np.uint16)),
        "more than 8 bits",
    ),
    "frame of another size": (
        FRAME,
        lambda p: _save(p, np.zeros((17, 33, 3), np.uint8)),
        "33x17 but the frames before it are 31x17",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_in_pictures(folder, kind):
    path, change, said = MISTAKES[kind]
    change(folder / path)
    before = sorted(folder.rglob("*"))
    source = open_source(str(folder))
    windows = windows_of_keyframes(source, None, 10)
    with pytest.raises(UserError) as error:
        validate(source, windows)
    assert said in str(error.value) and "00000" in str(error.value)
    assert "\n" not in str(error.value) and sorted(folder.rglob("*")) == before


def test_a_0_255_mask_gets_a_hint(folder):
    classes = json.loads((folder / "classes.json").read_text())
    classes = {"classes": classes["classes"][:2]}
    (folder / "classes.json").write_text(json.dumps(classes))
    mask = np.zeros((17, 31), np.uint8)
    mask[3:5] = 255
    _save(folder / LABEL, mask)
    source = open_source(str(folder))
    with pytest.raises(UserError, match="0/255 mask"):
        validate(source, [], [("a", "000001")])


def test_good_folders_pass_and_only_what_is_needed_is_checked(folder):
    source = open_source(str(folder))
    validate(source, windows_of_keyframes(source, None, 10))
    _cut(folder / "a/labels/000004.png")
    _cut(folder / "a/frames/000005.jpg")
    window = Window("a", "000001", "000000", "000003")
    validate(source, [window])
    with pytest.raises(UserError, match="000004"):
        validate(source, [window], [("a", "000001"), ("a", "000004")])
    with pytest.raises(UserError, match="has no label"):
        validate(source, [window], [("a", "000002")])


def test_labels_that_are_void_all_over_are_labels(folder):
    _save(folder / LABEL, np.full((17, 31), 255, np.uint8))
    source = open_source(str(folder))
    validate(source, windows_of_keyframes(source, None, 10))


def test_a_one_frame_sequence_cannot_be_propagated_in(folder):
    for i in (1, 2):
        (folder / f"b/frames/00000{i}.jpg").unlink()
    with pytest.raises(UserError, match="sequence b has one frame only"):
        windows_of_keyframes(open_source(str(folder)), None, 10)


@pytest.mark.parametrize("spec", ["", "none/such", "tfds:", "tfds:x", "tfds:x:train@none"])
def test_sources_that_are_not_there(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        open_source(spec)
