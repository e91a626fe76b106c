import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.types import UserError, Window

WINDOWS = (Window("a", "000001", "000000", "000003"),)


@pytest.fixture
def stills_folder(folder: Path, tmp_path: Path) -> Path:
    other = tmp_path / "stills"
    shutil.copytree(folder, other)
    (other / "list.txt").write_text("a 000004\nb 000000\n")
    return other


def test_only_keyframes_are_known(folder):
    source = open_source(str(folder))
    known = KnownLabels(source, WINDOWS)
    assert [(i.sequence, i.name) for i in known.items] == [("a", "000001")]
    assert (known.label("a", "000001") == source.label("a", "000001")).all()
    assert known.items[0].label().shape == known.items[0].frame().shape[:2] == (17, 31)
    for sequence, name in (("a", "000004"), ("a", "000000"), ("b", "000000"), ("c", "0")):
        with pytest.raises(KeyError):
            known.label(sequence, name)


def test_labels_of_other_frames_are_never_read(folder, monkeypatch):
    source = open_source(str(folder))
    read, original = [], type(source).label

    def spy(self, sequence, name):
        read.append((sequence, name))
        return original(self, sequence, name)

    monkeypatch.setattr(type(source), "label", spy)
    known = KnownLabels(source, WINDOWS)
    known.fingerprint()
    known.label("a", "000001")
    for item in known.items:
        item.label()
    assert set(read) == {("a", "000001")}


def test_stills_are_for_training_only(folder, stills_folder):
    stills = parse_stills(f"{stills_folder}:list.txt")
    known = KnownLabels(open_source(str(folder)), WINDOWS, [stills])
    assert [(i.source.name, i.sequence, i.name) for i in known.items] == [
        (str(folder), "a", "000001"),
        (str(stills_folder), "a", "000004"),
        (str(stills_folder), "b", "000000"),
    ]
    with pytest.raises(KeyError):
        known.label("a", "000004")


def test_a_frame_is_known_once(folder):
    source = open_source(str(folder))
    stills = (open_source(str(folder)), [("a", "000001"), ("b", "000000")])
    known = KnownLabels(source, [*WINDOWS, *WINDOWS], [stills, stills])
    assert [(i.sequence, i.name) for i in known.items] == [("a", "000001"), ("b", "000000")]


def test_stills_inside_a_window_are_told(folder, caplog):
    source = open_source(str(folder))
    window = Window("a", "000001", "000000", "000005")
    with caplog.at_level(logging.WARNING):
        KnownLabels(source, [window], [(source, [("a", "000001"), ("b", "000000")])])
        assert not caplog.records
        KnownLabels(source, [window], [(source, [("a", "000004")])])
    assert "000004" in caplog.text


def test_split_files_are_found_in_the_root_first_then_here(folder, stills_folder, monkeypatch):
    (folder.parent / "here.txt").write_text("a 000001\n")
    monkeypatch.chdir(folder.parent)
    assert parse_stills(f"{stills_folder}:here.txt")[1] == (("a", "000001"),)
    absolute = folder.parent / "here.txt"
    assert parse_stills(f"{stills_folder}:{absolute}")[1] == (("a", "000001"),)
    (stills_folder / "here.txt").write_text("b 000000\n")
    assert parse_stills(f"{stills_folder}:here.txt")[1] == (("b", "000000"),)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{root}", "must be ROOT:SPLITFILE|is not a folder"),
        ("{root}:", "must be ROOT:SPLITFILE"),
        (":list.txt", "must be ROOT:SPLITFILE"),
        ("{root}:none.txt", "there is no list"),
        ("{root}/none:list.txt", "is not a folder"),
        ("{root}:bad.txt", r"bad\.txt:2"),
    ],
)
def test_bad_stills(stills_folder, spec, said):
    (stills_folder / "bad.txt").write_text("a 000001\na 000002\n")
    with pytest.raises(UserError, match=said):
        parse_stills(spec.format(root=stills_folder))


def test_stills_need_the_same_classes(folder, stills_folder):
    classes = json.loads((stills_folder / "classes.json").read_text())
    classes["classes"][1]["color"] = [1, 2, 3]
    (stills_folder / "classes.json").write_text(json.dumps(classes))
    source = open_source(str(folder))
    KnownLabels(source, WINDOWS, [parse_stills(f"{stills_folder}:list.txt")])
    classes["classes"][1]["name"] = "lorry"
    (stills_folder / "classes.json").write_text(json.dumps(classes))
    with pytest.raises(UserError, match="other classes"):
        KnownLabels(source, WINDOWS, [parse_stills(f"{stills_folder}:list.txt")])


def test_fingerprint_changes_with_known_labels_alone(folder, tmp_path):
    def fingerprint(root, windows=WINDOWS):
        return KnownLabels(open_source(str(root)), windows).fingerprint()

    before = fingerprint(folder)
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "a/labels/000004.png").unlink()
    assert fingerprint(moved) == before
    assert fingerprint(folder, (Window("a", "000004", "000000", "000005"),)) != before
    label = np.asarray(Image.open(moved / "a/labels/000001.png")).copy()
    label[0, 0] = 7 if label[0, 0] != 7 else 0
    Image.fromarray(label).save(moved / "a/labels/000001.png")
    assert fingerprint(moved) != before
