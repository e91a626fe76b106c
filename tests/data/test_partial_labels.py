"""Labels in which some pixels are fixed and the rest is left as it is."""

import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json, parse_classes
from wrp_jax.data.source import partial_names
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.windows import choose_partial, choose_windows, windows_of_keyframes
from wrp_jax.types import KEPT, UserError

CLASSES = [
    {"id": 0, "name": "road"},
    {"id": 7, "name": "car"},
    {"id": 9, "name": "x", "void": True},
]


@pytest.fixture
def root(tmp_path):
    """Frames 0 to 4 of one sequence: 0 is labelled, 2 and 3 in part."""
    for folder in ("frames", "labels"):
        (tmp_path / "a" / folder).mkdir(parents=True)
    for t in range(5):
        Image.new("RGB", (6, 4), (9 * t, 0, 0)).save(tmp_path / f"a/frames/{t}.png")
    for t, ids in ((0, [0, 7]), (2, [254, 7]), (3, [9, 254])):
        label = np.zeros((4, 6), np.uint8)
        label[0], label[1] = ids
        Image.fromarray(label).save(tmp_path / f"a/labels/{t}.png")
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES, "keep": 254}))
    return tmp_path


def test_partial_labels_are_apart_from_whole_ones(root):
    source = open_folder(root)
    assert source.label_names("a") == {"0"} and partial_names(source, "a") == {"2", "3"}
    label = source.partial_label("a", "2")
    assert label.dtype == np.int32
    assert label[:3, 0].tolist() == [KEPT, 1, 0]
    assert source.partial_label("a", "3")[:3, 0].tolist() == [2, KEPT, 0]
    # Training and scoring see whole labels alone; what was trained does not depend on keep.
    windows = windows_of_keyframes(source, None, 9)
    assert [window.key for window in windows] == ["0"]
    before = KnownLabels(source, windows).fingerprint()
    (root / "classes.json").write_text(json.dumps({"classes": CLASSES}))
    for t in (2, 3):
        (root / f"a/labels/{t}.png").unlink()
    assert KnownLabels(open_folder(root), windows).fingerprint() == before


def test_palettes_may_hold_the_id(root):
    path = root / "a/labels/2.png"
    picture = Image.open(path).convert("P")
    ids = np.array(Image.open(path))
    picture = Image.fromarray(ids, "P")
    picture.putpalette([channel for i in range(256) for channel in (i, 255 - i, i // 2)])
    picture.save(path)
    source = open_folder(root)
    assert partial_names(source, "a") == {"2", "3"}
    assert source.partial_label("a", "2")[:3, 0].tolist() == [KEPT, 1, 0]


def test_only_those_that_a_list_names_count(root):
    source, listed = open_folder(root), root / "keys.txt"
    assert choose_partial(source, None) == {("a", "2"), ("a", "3")}
    listed.write_text("a 0\na 3\n")
    assert choose_partial(source, listed) == {("a", "3")}
    options = {"windows": None, "keyframes": listed, "key_every": 0, "horizon": 9}
    windows = choose_windows(source, **options)
    assert [window.key for window in windows] == ["0"]
    known = KnownLabels(source, windows, partial=choose_partial(source, listed))
    assert known.partial_label("a", "3")[1, 0] == KEPT
    with pytest.raises(KeyError, match="a 2 has no partial label that counts"):
        known.partial_label("a", "2")
    listed.write_text("a 2\n")
    with pytest.raises(UserError, match="names partial labels alone"):
        choose_windows(source, **options)
    listed.write_text("a 2 0 3\n")
    with pytest.raises(UserError, match=r"frame 2 of sequence a .* is labelled in part"):
        choose_windows(source, **{**options, "keyframes": None, "windows": listed})


def test_a_digest_knows_what_the_id_means(root):
    source = open_folder(root)
    digests = [SourceDigests(source).label("a", "2", source.partial_label)]
    (root / "classes.json").write_text(json.dumps({"classes": CLASSES, "keep": 253}))
    ids = np.array(Image.open(root / "a/labels/2.png"))
    Image.fromarray(np.where(ids == 254, 253, ids).astype(np.uint8)).save(root / "a/labels/2.png")
    source = open_folder(root)
    digests.append(SourceDigests(source).label("a", "2", source.partial_label))
    assert digests[0] != digests[1] and partial_names(source, "a") == {"2"}
    with pytest.raises(UserError, match=r"3\.png has 6 pixels with ids outside classes\.json"):
        source.label("a", "3")


@pytest.mark.parametrize("keep", [7, 9, 256, -1, "254", True, 1.5])
def test_an_id_that_cannot_be_it_is_refused(keep):
    with pytest.raises(UserError, match=r"has keep .*: give a whole number"):
        parse_classes({"classes": CLASSES, "keep": keep}, "classes.json")


def test_what_is_written_does_not_name_it():
    classes = parse_classes({"classes": CLASSES, "keep": 254}, "classes.json")
    assert classes.keep == 254 and "keep" not in classes_to_json(classes)


def test_mistakes_in_partial_labels_are_told(root):
    label = np.full((4, 6), 254, np.uint8)
    label[0, 0] = 3
    Image.fromarray(label).save(root / "a/labels/2.png")
    with pytest.raises(UserError, match=r"2\.png has 1 pixel with ids outside"):
        open_folder(root).partial_label("a", "2")
    Image.fromarray(label[:2]).save(root / "a/labels/2.png")
    with pytest.raises(UserError, match="labels must have the size of their frame"):
        label[0, 0] = 0
        Image.fromarray(label[:2]).save(root / "a/labels/2.png")
        open_folder(root).partial_label("a", "2")


def test_the_doctor_knows_the_id(root, wrp, capsys):
    assert wrp("doctor", root) == 0
    said = capsys.readouterr().out
    assert "ids of classes.json, where 254 keeps what is propagated" in said
    assert "ids that classes.json does not have" not in said
    (root / "classes.json").write_text(json.dumps({"classes": CLASSES}))
    assert wrp("doctor", root) == 1
    assert "ids that classes.json does not have: 254" in capsys.readouterr().out
    with pytest.raises(UserError, match=r'or "keep": 254 if it marks pixels that a partial label'):
        open_folder(root).label("a", "2")
