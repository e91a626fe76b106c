import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wrp_jax.data.folder import natural_key, open_folder
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.types import UserError


def _png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_reads_frames_and_labels(folder):
    source = open_source(str(folder))
    assert isinstance(source, VideoSource)
    assert source.sequences == ("a", "b") and source.name == str(folder)
    assert source.frame_names("b") == ("000000", "000001", "000002")
    assert source.label_names("a") == {"000001", "000004"}
    frame = source.frame("a", "000003")
    assert (frame == np.asarray(Image.open(folder / "a/frames/000003.jpg"))).all()
    expected = np.random.default_rng(4).integers(0, 3, (17, 31))
    assert (source.label("a", "000004") == expected).all()


def test_survives_pickling(folder):
    source = pickle.loads(pickle.dumps(open_folder(folder)))
    assert source.label("b", "000000").shape == source.frame("b", "000000").shape[:2] == (17, 31)


def test_one_sequence_is_a_root_too_and_may_use_the_class_map_above(folder):
    for _ in range(2):
        source = open_folder(folder / "a")
        assert source.sequences == ("a",) and len(source.frame_names("a")) == 6
        assert source.label("a", "000001").shape == (17, 31)
        shutil.copy(folder / "classes.json", folder / "a" / "classes.json")
        (folder / "classes.json").write_text("{}")


def test_any_names_in_natural_order(tmp_path, folder):
    names = ["10", "9", "frame 2", "frame 10", "v\xe9h.1", "x" * 251, ".hidden"]
    for name in names:
        _png(folder / "c" / "frames" / f"{name}.png", np.zeros((1, 1, 3), np.uint8))
    assert open_folder(folder).frame_names("c") == (
        "9", "10", "frame 2", "frame 10", "v\xe9h.1", "x" * 251,
    )  # fmt: skip


@given(st.lists(st.text("a0129_²", max_size=6), unique=True))
def test_natural_order_is_one_order_of_distinct_names(names):
    assert sorted(names, key=natural_key) == sorted(names[::-1], key=natural_key)


def test_frame_numbers_are_ordered_by_value():
    names = [f"f{i}" for i in range(120)]
    assert sorted(sorted(names), key=natural_key) == names


def test_sequences_without_labels_and_folders_that_are_no_sequence(folder):
    shutil.rmtree(folder / "b" / "labels")
    (folder / "splits").mkdir()
    (folder / ".git").mkdir()
    (folder / "a/frames/Thumbs.db").write_bytes(b"x")
    source = open_folder(folder)
    assert source.sequences == ("a", "b") and source.label_names("b") == frozenset()


def test_other_files_are_passed_over_with_a_word(folder, caplog):
    (folder / "a/frames/times.txt").write_text("1")
    with caplog.at_level(logging.WARNING):
        assert len(open_folder(folder).frame_names("a")) == 6
    assert "times.txt" in caplog.text


def test_links_to_sequences_are_followed(tmp_path, folder):
    other = tmp_path / "other"
    other.mkdir()
    (other / "linked").symlink_to(folder / "a")
    shutil.copy(folder / "classes.json", other)
    assert open_folder(other).frame("linked", "000000").shape == (17, 31, 3)


def test_a_name_never_leads_out_of_the_folder(folder):
    source = open_folder(folder)
    for sequence, name in (("a", "../../b/frames/000000"), ("../videos/a", "000000")):
        with pytest.raises(KeyError):
            source.frame(sequence, name)


def _remove_all(folder: Path):
    shutil.rmtree(folder)
    folder.mkdir()


BREAKAGES = {
    "no folder": (shutil.rmtree, "is not a folder"),
    "empty folder": (_remove_all, "holds no video"),
    "no classes.json": (lambda f: (f / "classes.json").unlink(), "classes.json is missing"),
    "no frames": (
        lambda f: [p.unlink() for p in (f / "b/frames").iterdir()],
        "frames holds no pictures",
    ),
    "labels only": (lambda f: shutil.rmtree(f / "b/frames"), "labels but no frames"),
    "label without frame": (
        lambda f: (f / "a/frames/000004.jpg").unlink(),
        "000004.png is a label without a frame",
    ),
    "two files for one frame": (
        lambda f: shutil.copy(f / "a/frames/000004.jpg", f / "a/frames/000004.png"),
        "000004.jpg and 000004.png",
    ),
    "two files for one label": (
        lambda f: shutil.copy(f / "a/labels/000004.png", f / "a/labels/000004.tif"),
        "has both",
    ),
    "loop of links": (lambda f: (f / "c").symlink_to(f / "c"), None),
    "loop of links in frames": (lambda f: _loop(f), "c/frames holds no pictures|cannot be read"),
}


def _loop(folder: Path):
    (folder / "c" / "frames").mkdir(parents=True)
    (folder / "c" / "frames" / "again").symlink_to(folder / "c")


@pytest.mark.parametrize("kind", BREAKAGES)
def test_broken_layouts_are_refused(folder, kind):
    change, said = BREAKAGES[kind]
    change(folder)
    if said is None:
        assert open_folder(folder).sequences == ("a", "b")
        return
    with pytest.raises(UserError, match=said) as error:
        open_folder(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_label_of_another_size_is_refused(folder):
    _png(folder / "a/labels/000001.png", np.zeros((17, 30), np.uint8))
    with pytest.raises(UserError, match=r"000001.png is 30x17 but its frame .* is 31x17"):
        open_folder(folder).label("a", "000001")


def test_tiny_and_odd_sizes(folder):
    for height, width in ((1, 1), (3, 2), (17, 31)):
        name = f"t{height}"
        for i in range(2):
            _png(folder / name / f"frames/{i}.png", np.zeros((height, width, 3), np.uint8))
        _png(folder / name / "labels/0.png", np.full((height, width), 255, np.uint8))
        assert (open_folder(folder).label(name, "0") == 2).all()
