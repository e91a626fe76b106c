"""Out and in again: labels and classes are the same, for every format."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.folder import FolderSource
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.open_source import open_source
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.tool_formats.cityscapes_tree import FRAMES as CITYSCAPES_FRAMES
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.exchange.export_project import FORMATS, export_project
from wrp_jax.quality.table import FrameQuality, quality_csv
from wrp_jax.types import UNLABELLED, UserError

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

SIZE = (6, 9)
STREET = [
    {"id": 26, "name": "car", "color": [0, 0, 142]},
    {"id": 7, "name": "road", "color": [0, 0, 0]},
    {"id": 255, "name": "don't know", "color": [9, 9, 9], "void": True},
    {"id": 3, "name": "side-walk: left", "color": [0, 0, 142]},
]
"""In no order, black for a class, a colour twice, and void by another name."""
OBJECTS = [{"id": 0, "name": "background"}, {"id": 1, "name": "object"}]


def video(root, entries, seed=0):
    """Two sequences with frames of the same names, the second of which has no label."""
    rng = np.random.default_rng(seed)
    for sequence, suffix in (("a", "png"), ("b_c", "jpg")):
        for kind in ("frames", "labels"):
            (root / sequence / kind).mkdir(parents=True)
        for name in ("0", "1", "2"):
            pixels = rng.integers(0, 255, (*SIZE, 3), np.uint8)
            Image.fromarray(pixels).save(root / sequence / "frames" / f"{name}.{suffix}")
        for name in ("0", "2"):
            ids = rng.choice([e["id"] for e in entries], SIZE).astype(np.uint8)
            Image.fromarray(ids).save(root / sequence / "labels" / f"{name}.png")
    (root / "classes.json").write_text(json.dumps({"classes": entries}))
    return root


def same(first, second):
    """The labelled frames and the classes of two folders."""
    a, b = open_source(str(first)), open_source(str(second))
    assert classes_to_json(a.classes) == classes_to_json(b.classes)
    assert a.sequences == b.sequences
    for sequence in a.sequences:
        assert a.label_names(sequence) == b.label_names(sequence)
        for name in a.label_names(sequence):
            np.testing.assert_array_equal(a.label(sequence, name), b.label(sequence, name))
            np.testing.assert_array_equal(a.frame(sequence, name), b.frame(sequence, name))


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("entries", [STREET, OBJECTS], ids=["street", "objects"])
@pytest.mark.parametrize("to", sorted(set(FORMATS) - {"cityscapes"}))
def test_out_and_in_is_the_identity(tmp_path, to, entries, kind):
    root = video(tmp_path / "D", entries)
    dest = tmp_path / ("E.zip" if kind == "zip" else "E")
    said = export_project(root, dest, to)
    assert "holds 4 labelled frames" in said
    assert "2 frames without a label are left out: --unlabelled exports them, too." in said
    classes = root / "classes.json" if to in ("train-ids", "fiftyone") else None
    import_project(dest, tmp_path / "D2", classes=classes)
    same(root, tmp_path / "D2")


def test_cityscapes_out_and_in(tmp_path):
    root = video(tmp_path / "D", classes_to_json(cityscapes_classes())["classes"])
    export_project(root, tmp_path / "E", "cityscapes")
    import_project(tmp_path / "E", tmp_path / "D2")
    same(root, tmp_path / "D2")
    begin = tmp_path / "E/gtFine/train/b_c/b_c_000000_2_gtFine_"
    ids, train_ids = (
        np.array(Image.open(f"{begin}{k}.png")) for k in ("labelIds", "labelTrainIds")
    )
    label = open_source(str(root)).label("b_c", "2")
    np.testing.assert_array_equal(train_ids, np.where(label == 19, 255, label))
    np.testing.assert_array_equal(ids, np.array(cityscapes_classes().ids)[label])
    with pytest.raises(UserError, match="class 'side-walk: left' is none of"):
        export_project(video(tmp_path / "D3", STREET), tmp_path / "E3", "cityscapes")
    assert not (tmp_path / "E3").exists()


def whole_video(root, to):
    """As ``video``, with a label of void alone, and a sequence of one frame that has none."""
    city = classes_to_json(cityscapes_classes())["classes"]
    video(root, city if to == "cityscapes" else STREET)
    void = next(c.ids[c.void_index] for c in [open_source(str(root)).classes])
    Image.fromarray(np.full(SIZE, void, np.uint8)).save(root / "a/labels/1.png")
    (root / "d/frames").mkdir(parents=True)
    Image.new("RGB", SIZE[::-1], (1, 2, 3)).save(root / "d/frames/0.png")
    return root


def same_video(first, second):
    a, b = open_source(str(first)), open_source(str(second))
    for sequence in a.sequences:
        assert a.frame_names(sequence) == b.frame_names(sequence)
        for name in set(a.frame_names(sequence)) - a.label_names(sequence):
            np.testing.assert_array_equal(a.frame(sequence, name), b.frame(sequence, name))
    same(first, second)


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_with_its_frames_without_labels_a_folder_comes_back_whole(tmp_path, to):
    root = whole_video(tmp_path / "D", to)
    dest = tmp_path / ("E.zip" if to in ("cvat", "cityscapes") else "E")
    said = export_project(root, dest, to, unlabelled=True)
    assert f"holds 7 frames for {to}, 5 of them with labels; " in said and "left out" not in said
    classes = root / "classes.json" if to in ("train-ids", "fiftyone") else None
    import_project(dest, tmp_path / "D2", classes=classes)
    same_video(root, tmp_path / "D2")


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_a_folder_that_nobody_has_labelled_comes_back(tmp_path, to):
    root = whole_video(tmp_path / "D", to)
    for label in root.glob("*/labels/*"):
        label.unlink()
    with pytest.raises(UserError, match=r"holds no labels.*--unlabelled exports frames"):
        export_project(root, tmp_path / "E", to)
    assert not (tmp_path / "E").exists()
    said = export_project(root, tmp_path / "E", to, unlabelled=True)
    assert f"holds 7 frames for {to}, 0 of them with labels; " in said
    classes = root / "classes.json" if to in ("train-ids", "fiftyone") else None
    import_project(tmp_path / "E", tmp_path / "D2", classes=classes)
    same_video(root, tmp_path / "D2")


def test_tools_find_frames_without_labels_where_they_look_for_them(tmp_path):
    root = whole_video(tmp_path / "D", "")
    for to in ("cvat", "voc", "label-studio"):
        export_project(root, tmp_path / to, to, unlabelled=True)
    lists = {
        f"{path.parents[2].name} {path.stem}": path.read_text().split()
        for path in tmp_path.glob("*/ImageSets/Segmentation/*.txt")
    }
    with_labels = ["a/0", "a/1", "a/2", "b_c/0", "b_c/2"]
    assert lists.pop("cvat default") == [*with_labels[:4], "b_c/1", "b_c/2", "d/0"]
    expected = {"train": with_labels, "trainval": with_labels, "test": ["b_c/1", "d/0"]}
    assert lists == {f"voc {part}": names for part, names in expected.items()}
    tasks = json.loads((tmp_path / "label-studio/tasks.json").read_text())
    assert [len(task["annotations"]) for task in tasks] == [1, 1, 1, 1, 0, 1, 0]
    assert tasks[1]["annotations"][0]["result"] == []  # somebody has looked: it is all void
    city = whole_video(tmp_path / "city", "cityscapes")
    export_project(city, tmp_path / "E", "cityscapes", unlabelled=True)
    frames = [len(list(tmp_path.glob(f"E/{f}/train/*/*"))) for f in CITYSCAPES_FRAMES]
    assert frames == [5, 7]  # as in the set: labelled frames, and all


def test_lists_of_frames_without_labels(tmp_path, caplog):
    root = video(tmp_path / "D", STREET)
    table, listed = tmp_path / "next_frames.csv", tmp_path / "list.txt"
    listed.write_text("a 1\na 2\n")
    table.write_text("sequence,frame\na,1\na,2\n")
    with pytest.raises(UserError, match=r"1 of its frames have no label, the first is a 1.*--unl"):
        export_project(root, tmp_path / "E", "voc", frames=listed)
    for file in (listed, table):
        said = export_project(root, tmp_path / "E", "voc", frames=file, unlabelled=True)
        assert "holds 2 frames for voc, 1 of them with labels" in said
    assert not caplog.records
    table.write_text("sequence,frame\na,1\na,9\n")
    said = export_project(root, tmp_path / "E", "voc", frames=table, unlabelled=True)
    assert "holds 1 frame for voc, 0 of them with labels" in said
    assert "1 of its frames are not in the video and are left out (the first is a 9)" in caplog.text
    rows = [FrameQuality("a", "0", 1, 80.0, 0.0, 100.0, 0.0, "", {})]
    (root / "quality.csv").write_bytes(quality_csv(rows, []))
    export_project(root, tmp_path / "E", "voc", below=60.0, unlabelled=True)
    # Of frames without a label nothing is expected, so that they need a look too.
    written = {str(path.relative_to(tmp_path / "E")) for path in tmp_path.glob("E/JPEGImages/*/*")}
    assert written == {"JPEGImages/a/1.png", "JPEGImages/b_c/1.jpg"}


def test_partial_labels_count_as_none_and_are_told(tmp_path, caplog):
    root = video(tmp_path / "D", STREET)
    classes = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps({**classes, "keep": 100}))
    Image.fromarray(np.full(SIZE, 100, np.uint8)).save(root / "a/labels/1.png")
    said = export_project(root, tmp_path / "E", "grey-ids", unlabelled=True)
    assert "6 frames for grey-ids, 4 of them with labels" in said
    assert "1 frames are labelled in part" in caplog.text and "(the first is a 1)" in caplog.text
    assert not (tmp_path / "E/labels/a/1.png").exists()


def test_labels_that_come_back_without_our_list_of_classes(tmp_path):
    """A tool knows names alone: the classes of the data give the ids."""
    root = video(tmp_path / "D", STREET[:3])
    for to in ("cvat", "coco-stuff", "label-studio", "coco-panoptic"):
        export_project(root, tmp_path / to, to)
        (tmp_path / to / "classes.json").unlink()
        import_project(tmp_path / to, tmp_path / f"D_{to}", classes=root / "classes.json")
        same(root, tmp_path / f"D_{to}")


def test_fiftyone_has_nothing_at_0_and_names_its_values(tmp_path):
    root = video(tmp_path / "D", STREET)
    export_project(root, tmp_path / "E", "fiftyone")
    assert (tmp_path / "E/data/b_c/2.jpg").is_file()
    picture = Image.open(tmp_path / "E/labels/a/0.png")
    assert picture.mode == "L"
    label = open_source(str(root)).label("a", "0")
    np.testing.assert_array_equal(np.array(picture), np.array([1, 2, 0, 3])[label])
    targets = json.loads((tmp_path / "E/mask_targets.json").read_text())
    assert targets == {"1": "car", "2": "road", "3": "side-walk: left"}


def test_frames_of_a_table_and_those_below_a_quality(tmp_path, caplog):
    root = video(tmp_path / "D", STREET)
    table = tmp_path / "next_frames.csv"
    table.write_text("rank,sequence,frame,gain\n1,b_c,2,3.5\n2,a,1,2\n3,b_c,2,1\n")
    said = export_project(root, tmp_path / "E", "grey-ids", frames=table)
    assert "holds 1 labelled frame" in said and (tmp_path / "E/labels/b_c/2.png").is_file()
    assert "1 of its frames have no label and are left out (the first is a 1)" in caplog.text
    assert "--unlabelled exports frames without a label, too" in caplog.text
    table.write_text("sequence,frame,miou,frame\na,0,80,90.00\n\n")  # a class called frame
    assert "holds 1 labelled" in export_project(root, tmp_path / "E", "grey-ids", frames=table)
    for content, message in (
        ("a,b\n1,2\n", "no rows with columns"),
        ("sequence,frame\n", "no rows with columns"),
        ("sequence,frame\na,1\n", "all of its frames have no label: --unlabelled exports"),
        ('sequence,frame\n"a,1\n', "no table"),
    ):
        table.write_text(content)
        with pytest.raises(UserError, match=message):
            export_project(root, tmp_path / "E2", "grey-ids", frames=table)
    miou = {("a", "0"): 55.0, ("a", "2"): 75.0, ("b_c", "2"): float("nan")}
    rows = [FrameQuality(*key, 1, value, 0.0, 100.0, 0.0, "", {}) for key, value in miou.items()]
    (root / "quality.csv").write_bytes(quality_csv(rows, []))
    export_project(root, tmp_path / "E3", "grey-ids", below=60.0)
    # Of b_c 2 nothing is expected, so that it needs a look too.
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("E3/labels/*/*"))
    assert written == ["E3/labels/a/0.png", "E3/labels/b_c/2.png"]
    (root / "quality.csv").write_bytes(quality_csv(rows[:2], []))
    for below, message in (
        (0.0, "below 0 % expected: give a higher --below"),
        (10.0, "give a higher --below"),
        (101.0, "--below=101 must be"),
    ):
        with pytest.raises(UserError, match=message):
            export_project(root, tmp_path / "E4", "grey-ids", below=below)


@pytest.mark.parametrize("kind", ["grey-ids", "train-ids", "fiftyone"])
def test_a_class_may_be_called_as_what_has_no_class(tmp_path, kind):
    classes = [{"id": 0, "name": "unlabelled", "void": False}, {"id": 1, "name": "no class"}]
    root = video(tmp_path / "D", classes)
    label = np.full(SIZE, UNLABELLED, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderSource, "label", lambda *_: label)
        export_project(root, tmp_path / "E", kind)
    assert "unlabelled 2" in (tmp_path / "E/classes.json").read_text()
    if kind != "fiftyone":
        import_project(tmp_path / "E", tmp_path / "D2")


def test_train_ids_are_grey_and_count_the_classes(tmp_path):
    root = video(tmp_path / "D", STREET)
    export_project(root, tmp_path / "E", "train-ids")
    picture = Image.open(tmp_path / "E/labels/a/0.png")
    assert picture.mode == "L"
    label = open_source(str(root)).label("a", "0")
    np.testing.assert_array_equal(np.array(picture), np.array([0, 1, 255, 2])[label])


def test_grey_ids_are_those_of_the_classes(tmp_path):
    """For programs that turn a palette into colours."""
    root = video(tmp_path / "D", OBJECTS)
    export_project(root, tmp_path / "E", "grey-ids")
    path = tmp_path / "E/labels/a/0.png"
    label = np.array(Image.open(root / "a/labels/0.png"))
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), label)


@pytest.mark.parametrize("to", sorted(set(FORMATS) - {"cityscapes", "train-ids", "fiftyone"}))
def test_what_is_not_known_becomes_void_where_there_is_none(tmp_path, monkeypatch, to):
    """Not the background, though it is what tools take for pixels on which nothing is drawn."""
    root = video(tmp_path / "D", OBJECTS)
    label = np.where(np.arange(SIZE[1]) > 3, UNLABELLED, np.ones(SIZE, np.int32))
    label[0] = 0
    for number, given in enumerate((label, np.full(SIZE, UNLABELLED))):
        with monkeypatch.context() as patch:
            patch.setattr(FolderSource, "label", lambda *_, given=given: given.astype(np.int32))
            export_project(root, tmp_path / f"E{number}", to)
        import_project(tmp_path / f"E{number}", tmp_path / f"D{number}")
        source = open_source(str(tmp_path / f"D{number}"))
        assert source.classes.names[-1] == "unlabelled" and source.classes.void_index == 2
        assert source.classes.ids == (0, 1, 255)
        expected = np.where(given == UNLABELLED, 2, given)
        np.testing.assert_array_equal(source.label("a", "0"), expected)


def test_a_list_of_frames_and_a_second_run(tmp_path, wrp, capsys):
    root = video(tmp_path / "D", OBJECTS)
    (tmp_path / "list.txt").write_text("a 0\nb_c 2\n")
    words = ("export", str(root), str(tmp_path / "E"), "--to=voc", f"--frames={tmp_path}/list.txt")
    assert wrp(*words) == 0
    assert "holds 2 labelled frames for voc; 8 files are new" in capsys.readouterr().out
    assert len(list(tmp_path.glob("E/*/*/*.png"))) == 3  # two labels, one frame
    assert wrp(*words) == 0
    assert "it is unchanged" in capsys.readouterr().out
    (tmp_path / "list.txt").write_text("a 0\n")
    assert wrp(*words) == 0
    assert not (tmp_path / "E/JPEGImages/b_c").exists()
    assert wrp("export", str(root), str(tmp_path / "E"), "--to=cvat") == 2
    assert "differs in export" in capsys.readouterr().err
    assert wrp("export", str(root), str(tmp_path), "--to=cvat") == 2
    assert wrp("export", str(root), str(root / "E"), "--to=cvat") == 2
    assert "lies inside the input" in capsys.readouterr().err


def test_what_propagate_wrote_with_a_least_confidence(tmp_path, wrp, capsys):
    spec = "synthetic:clips=1,frames=3,height=32,width=40"
    out = tmp_path / "OUT"
    assert wrp("propagate", "--config=folder", f"--data={spec}", "--method=static", "--horizon=1",
               f"--output={out}") == 0  # fmt: skip
    assert wrp("export", str(out), str(tmp_path / "E"), "--to=train-ids") == 2
    assert "give --data" in capsys.readouterr().err
    export_project(out, tmp_path / "E", "train-ids", data=spec)
    paths = sorted(tmp_path.glob("E/labels/*/*.png"))
    assert len(paths) == 3
    sure = min(out.glob("*/confidence/*.png"))
    grey = np.full((32, 40), 255, np.uint8)
    grey[:16] = 100
    Image.fromarray(grey).save(sure)
    export_project(out, tmp_path / "E2", "train-ids", data=spec, min_confidence=0.5)
    changed = np.array(Image.open(tmp_path / "E2" / paths[0].relative_to(tmp_path / "E")))
    assert (changed[:16] == 255).all()
    np.testing.assert_array_equal(changed[16:], np.array(Image.open(paths[0]))[16:])
    max(out.glob("*/labels/*.png")).unlink()  # as of a frame out of reach
    said = export_project(out, tmp_path / "E3", "train-ids", data=spec)
    assert "holds 2 labelled frames for train-ids" in said and "left out" not in said
    said = export_project(out, tmp_path / "E4", "train-ids", data=spec, unlabelled=True)
    assert "holds 3 frames for train-ids, 2 of them with labels" in said
