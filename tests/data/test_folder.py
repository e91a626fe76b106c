import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.folder import open_folder
from wrp_jax.data.frame_names import natural_key
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import windows_of_keyframes
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
    (folder / "a/frames/times.csv").write_text("1")
    with caplog.at_level(logging.WARNING):
        assert len(open_folder(folder).frame_names("a")) == 6
    assert "times.csv and 1 more in" in caplog.text and len(caplog.records) == 1


def _rename(folder: Path, names: list[str]):
    """Gives the frames of ``a``, in their order, other names."""
    frames = sorted((folder / "a/frames").iterdir())
    for path, name in zip(frames, names, strict=True):
        path.rename(path.with_name(name + path.suffix))
    shutil.rmtree(folder / "a/labels")


SECONDS = ["0", "0.05", "0.1", "0.15", "0.2", "0.25"]


def test_frames_named_by_seconds_are_in_the_order_of_time(folder, caplog):
    _rename(folder, SECONDS)
    source = open_folder(folder)
    assert source.frame_names("a") == tuple(SECONDS)
    assert (source.frame("a", "0.05") == open_folder(folder).frame("a", "0.05")).all()
    windows_of_keyframes(source, [("b", "000000")], 9)
    assert not caplog.records


@pytest.mark.parametrize("place", ["a/frames.txt", "a/frames/frames.txt"])
@pytest.mark.parametrize("form", ["{}\n", "{}.jpg\r\n", "# {0}\n{0}\n\n", "  {}  \n"])
def test_a_list_settles_the_order(folder, place, form, caplog):
    names = ["start", "#2", "middle", "x", "0.15", "end"]
    _rename(folder, names)
    assert open_folder(folder).frame_names("a") != tuple(names)
    assert "do not say for certain that" in caplog.text and "a/frames.txt" in caplog.text
    caplog.clear()
    text = "\ufeff" + "".join(map(form.format, names))
    (folder / place).write_text(text, encoding="utf-8")
    for labelled in (True, False):
        assert open_folder(folder, labelled=labelled).frame_names("a") == tuple(names)
    assert not caplog.records


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["000000", "000001"], "does not name the frame '000002' of .*frames .4 in all"),
        ([f"00000{i}" for i in (0, 1, 2, 3, 4, 5, 5)], "names the frame '000005' more than once"),
        (["000000", "7"], "frames.txt:2: there is no frame '7'"),
        (["../labels/000001"], "frames.txt:1: there is no frame"),
    ],
)
def test_a_list_names_each_frame_once(folder, names, said):
    (folder / "a/frames.txt").write_text("\n".join(names))
    with pytest.raises(UserError, match=said):
        open_folder(folder)
    (folder / "a/frames/frames.txt").write_text("\n".join(names))
    with pytest.raises(UserError, match="There are both"):
        open_folder(folder)


def _picture(path: Path):
    _png(path, np.zeros((2, 2), np.uint8))


LEFT_OUT = {
    "a film beside the sequences": (lambda f: (f / "day.mp4").write_bytes(b"x"), "day.mp4"),
    "a film in a sequence": (lambda f: (f / "a/day.MOV").write_bytes(b"x"), "a/day.MOV"),
    "an archive of labels": (lambda f: (f / "a/labels.zip").write_bytes(b"x"), "a/labels.zip"),
    "a picture beside the sequences": (lambda f: _picture(f / "c.png"), "c.png"),
    "pictures beside frames": (lambda f: _picture(f / "a/7.png"), "a/7.png"),
    "pictures without frames": (lambda f: _picture(f / "c/7.png"), "videos/c in"),
    "capital folders": (lambda f: _picture(f / "c/Frames/7.png"), "videos/c in"),
    "labels under another name": (lambda f: _picture(f / "a/Labels/000002.png"), "a/Labels in"),
    "labels of nothing": (lambda f: _picture(f / "labels/7.png"), "videos/labels in"),
    "a folder inside of frames": (lambda f: _picture(f / "a/frames/more/7.png"), "frames/more in"),
    "a folder inside of labels": (lambda f: _picture(f / "a/labels/old/7.png"), "labels/old in"),
    "one level deeper": (lambda f: _picture(f / "city/c/frames/0.png"), "videos/city in"),
    "another format": (lambda f: (f / "a/frames/6.gif").write_bytes(b"GIF89a"), "frames/6.gif"),
    "hidden picture": (lambda f: _picture(f / "a/frames/.6.png"), "frames/.6.png"),
    "a link that leads nowhere": (lambda f: (f / "c").symlink_to(f / "none"), "videos/c in"),
    "other classes": (lambda f: (f / "a/classes.json").write_text("{}"), "a/classes.json"),
    "frames of nothing": (lambda f: (f / "frames").mkdir(), "videos/frames passed over"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_looks_like_data_and_is_not_read_is_named(folder, kind, caplog):
    change, said = LEFT_OUT[kind]
    change(folder)
    source = open_folder(folder)
    assert source.sequences == ("a", "b") and len(source.frame_names("a")) == 6
    assert said in caplog.text and "passed over" in caplog.text
    assert len(caplog.records) == 1


def test_what_is_no_data_is_no_matter(folder, caplog):
    for name in ("splits/test.txt", "README.md", "a/notes.txt", "LICENSE", "a/.git/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    for kind in ("confidence", "probs", "forward", "backward"):  # read by other options
        _picture(folder / "a" / kind / "000000.png")
    (folder / "a/frames/._000000.jpg").write_bytes(b"x")
    shutil.copy(folder / "classes.json", folder / "a")
    open_folder(folder)
    assert not caplog.records


def test_frames_beside_sequences_are_refused(folder):
    """Left from before the frames were sorted into sequences: they would hide these."""
    shutil.copytree(folder / "b/frames", folder / "frames")
    with pytest.raises(UserError, match=r"frames of its own, .*beside the sequences a, b:"):
        open_folder(folder)


@pytest.mark.parametrize("name", ["a/labels", "b/frames"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_folders_that_are_none_are_refused(folder, name, kind):
    shutil.rmtree(folder / name)
    if kind == "file":
        (folder / name).write_text("x")
    else:
        (folder / name).symlink_to(folder / "unmounted")
    with pytest.raises(UserError, match=f"{name} is a {kind}"):
        open_folder(folder)


def test_unlabelled_sequences_are_all_there(tmp_path, folder):
    """Links of one target's name, and labels beside the frames of the root."""
    root = tmp_path / "mixed"
    for name in ("x", "y"):
        (tmp_path / name / "clip").mkdir(parents=True)
        shutil.copy(folder / "b/frames/000000.jpg", tmp_path / name / "clip")
        root.mkdir(exist_ok=True)
        (root / name).symlink_to(tmp_path / name / "clip")
    assert open_folder(root, labelled=False).sequences == ("x", "y")
    assert open_folder(folder / "a", labelled=False).sequences == ("a",)
    for path in (folder / "a/frames").iterdir():
        shutil.move(path, folder / "a" / path.name)
    source = open_folder(folder / "a", labelled=False)  # the folder frames is left, and empty
    assert source.sequences == ("a",) and len(source.frame_names("a")) == 6


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
        r"000004.png is a label without a frame: add the frame .*frames/000004.jpg or remove",
    ),
    "label named by its number alone": (
        lambda f: (f / "a/labels/000004.png").rename(f / "a/labels/4.png"),
        r"4.png is a label without a frame: if it belongs to .*000004.jpg, call it 000004; else",
    ),
    "umlauts in two spellings": (
        lambda f: (
            (f / "a/frames/000004.jpg").rename(f / "a/frames/K\u00f6ln.jpg"),
            (f / "a/labels/000004.png").rename(f / "a/labels/Ko\u0308ln.png"),
        ),
        "K\u00f6ln.jpg looks the same, but is spelt in other bytes; rename one",
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
    "a link to no frames": (
        lambda f: ((f / "c").mkdir(), (f / "c/frames").symlink_to(f / "none")),
        "leads to no folder",
    ),
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
