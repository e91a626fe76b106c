"""What propagate wrote, read back: the folder and the TFDS data set say the same."""

import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.propagated.frames import propagated_frames, true_frames
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.labelling.request import Request
from wrp_jax.types import UNLABELLED, UserError

OFFSETS = (-1, 1, 2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return tmp_path_factory.mktemp("written") / "OUT"


@pytest.fixture
def data(folder, tmp_path, written):
    """Source, windows and the output of motion-only without motion, moved pictures included."""
    if not written.exists():
        config = Config()
        config.motion.name, config.propagation.move_images = "zero", True
        propagate(config, Request(str(folder), written, "motion-only"), workdir=None)
    shutil.copytree(written, tmp_path / "OUT")
    source = open_folder(folder)
    return source, windows_of_keyframes(source, None, 10), tmp_path / "OUT"


def read(data, where="", **options):
    source, windows, output = data
    frames = propagated_frames(output / where, source, windows, **{"offsets": OFFSETS, **options})
    return {(f.sequence, f.name): f for f in frames}


def test_frames_at_the_offsets_with_the_labels_and_pictures_that_were_written(data):
    source, _, output = data
    found = read(data)
    places = {place: (f.key, f.offset) for place, f in found.items()}
    assert places == {
        ("a", "000000"): ("000001", -1),
        ("a", "000002"): ("000001", 1),
        ("a", "000003"): ("000004", -1),
        ("a", "000005"): ("000004", 1),
        ("b", "000001"): ("000000", 1),
        ("b", "000002"): ("000000", 2),
    }
    ids = np.array(source.classes.ids)
    for (sequence, name), frame in found.items():
        pixels = np.asarray(Image.open(output / sequence / "labels" / f"{name}.png"))
        np.testing.assert_array_equal(ids[frame.label()], pixels)
        assert frame.moved
        moved = np.asarray(Image.open(output / sequence / "images" / f"{name}.png"))
        np.testing.assert_array_equal(frame.frame(), moved)
    plain = read(data, images="frames")
    for place, frame in plain.items():
        np.testing.assert_array_equal(frame.frame(), source.frame(*place))
        assert not frame.moved


def test_the_data_set_says_the_same_as_the_folder(data):
    folder, tfds = read(data, images="frames"), read(data, "tfds")
    assert folder.keys() == tfds.keys()
    for place, frame in folder.items():
        other = tfds[place]
        assert (frame.key, frame.offset, frame.moved) == (other.key, other.offset, other.moved)
        np.testing.assert_array_equal(frame.label(), other.label())
        np.testing.assert_array_equal(frame.frame(), other.frame())


@pytest.mark.parametrize("where", ["", "tfds"])
def test_pixels_below_the_confidence_are_not_labelled(data, where):
    source, windows, output = data
    known = np.full((17, 31), 200, np.uint8)
    known[:5] = 100
    path = output / "a" / "confidence" / "000002.png"
    Image.fromarray(known).save(path)
    if where:  # written anew from the pictures
        from wrp_jax.data.label_writer import LabelWriter
        from wrp_jax.data.tfds.export import ExportRow, export_tfds

        rows = [ExportRow("a", "000001", "000001", 0), ExportRow("a", "000002", "000001", 1)]
        export_tfds(output / "tfds", source, rows, LabelWriter(output, source.classes))
        data = source, [w for w in windows if w.key == "000001"], output
    whole = read(data, where)["a", "000002"].label()
    sure = read(data, where, confidence=0.6)["a", "000002"].label()
    assert (sure[:5] == UNLABELLED).all()
    np.testing.assert_array_equal(sure[5:], whole[5:])
    assert not (whole == UNLABELLED).any()


def test_labels_of_another_method(data):
    _, _, output = data
    other = output / "methods" / "static"
    for sequence in "ab":
        for kind in ("labels", "confidence"):
            shutil.copytree(output / sequence / kind, other / sequence / kind)
    Image.fromarray(np.zeros((17, 31), np.uint8)).save(other / "a" / "labels" / "000002.png")
    run = json.loads((output / "run.json").read_text())
    (output / "run.json").write_text(json.dumps({**run, "methods": ["static", "motion-only"]}))
    frame = read(data, method="static")["a", "000002"]
    assert (frame.label() == 0).all() and not frame.moved  # it has no moved pictures
    assert read(data, method="motion-only")["a", "000002"].label().any()


def test_labels_that_say_nothing_where_there_is_no_void(data, tmp_path):
    source, windows, output = data
    path = source.root / "classes.json"
    content = json.loads(path.read_text())
    content["classes"][2] = {"id": 9, "name": "sky", "color": [0, 0, 0]}
    path.write_text(json.dumps({**content, "void_id": None}))
    run = json.loads((output / "run.json").read_text())
    (output / "run.json").write_text(json.dumps({**run, "classes": {**content, "void_id": None}}))
    label = read((open_folder(source.root), windows, output))["a", "000002"].label()
    assert (label == UNLABELLED).any() and set(np.unique(label)) <= {0, 1, UNLABELLED}


@pytest.mark.parametrize("where", ["", "tfds"])
def test_they_travel_to_worker_processes(data, where):
    frame = read(data, where)["b", "000002"]
    copy = pickle.loads(pickle.dumps(frame))
    np.testing.assert_array_equal(copy.label(), frame.label())
    np.testing.assert_array_equal(copy.frame(), frame.frame())


def test_true_labels_of_the_same_frames(folder):
    source = open_folder(folder)
    windows = windows_of_keyframes(source, [("a", "000001")], 10)
    (frame,) = true_frames(source, windows, (-1, 3, 4))
    assert (frame.name, frame.key, frame.offset) == ("000004", "000001", 3)
    np.testing.assert_array_equal(frame.label(), source.label("a", "000004"))
    with pytest.raises(UserError, match="has no true label -1, \\+2 frames from a labelled one"):
        true_frames(source, windows, (-1, 2))


def test_the_fingerprint_of_a_run_follows_labels_and_moved_pictures(data):
    source, windows, output = data

    def fingerprint(**options):
        return KnownLabels(source, windows, (), tuple(read(data, **options).values())).fingerprint()

    marks = [fingerprint(), fingerprint(images="frames"), fingerprint(offsets=(1,))]
    marks.append(KnownLabels(source, windows).fingerprint())
    Image.fromarray(np.zeros((17, 31, 3), np.uint8)).save(output / "a" / "images" / "000000.png")
    marks.append(fingerprint())
    Image.fromarray(np.zeros((17, 31), np.uint8)).save(output / "a" / "labels" / "000000.png")
    marks.append(fingerprint())
    assert len(set(marks)) == len(marks)


def no_output(data):
    return data[0], data[1], data[2] / "a"


def other_classes(data):
    path = data[0].root / "classes.json"
    path.write_text(path.read_text().replace('"car"', '"bus"'))
    return open_folder(data[0].root), data[1], data[2]


def fewer_windows(data):
    return data[0], data[1][:-1], data[2]


def more_windows(data):
    return data[0], (*data[1], data[1][0].__class__("a", "000002", "000002", "000002")), data[2]


def other_video(data):
    shutil.move(data[0].root / "b", data[0].root / "c")
    return open_folder(data[0].root), data[1][:-1], data[2]


def same(data):
    return data


@pytest.mark.parametrize(
    ("change", "where", "options", "says"),
    [
        (no_output, "", {}, r"is not what propagate wrote, run.json is missing: give the --output"),
        (
            other_classes,
            "",
            {},
            r"3 classes \(road, car, void\), .* of 3 classes \(road, bus",
        ),
        (other_classes, "tfds", {}, r"labels of 3 classes \(road, car, void\)"),
        (fewer_windows, "", {}, "other labelled frames: b 000000 is not labelled by hand in this"),
        (fewer_windows, "tfds", {}, "other labelled frames: b 000000 is not labelled by hand in"),
        (
            more_windows,
            "",
            {},
            "frames: a 000002 is labelled by hand in this run alone",
        ),
        (other_video, "", {}, "was made from frame b 000000, which .* does not have"),
        (same, "", {"method": "warp-refine"}, "no labels of warp-refine, only of motion-only"),
        (
            same,
            "tfds",
            {"method": "motion-only"},
            "a TFDS data set, which holds the main method",
        ),
        (same, "tfds", {"images": "moved"}, "is a TFDS data set"),
        (same, "", {"offsets": (-8, 8)}, r"label -8, \+8 frames .*offsets are from -1 to 2\)"),
        (same, "tfds", {"offsets": (9,)}, r"no propagated label \+9 frames from a labelled one"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(data, change, where, options, says):
    with pytest.raises(UserError, match=says) as error:
        read(change(data), where, **options)
    assert "\n" not in str(error.value)


def test_moved_pictures_that_are_not_there_are_refused_if_asked_for(data):
    (data[2] / "a" / "images" / "000000.png").unlink()
    assert not read(data)["b", "000001"].moved
    with pytest.raises(UserError, match="has no moved pictures"):
        read(data, images="moved")


def test_another_size_is_refused(data):
    Image.fromarray(np.zeros((17, 30), np.uint8)).save(data[2] / "a" / "labels" / "000002.png")
    with pytest.raises(UserError, match=r"000002\.png is 30x17 but its frame is 31x17: propagate"):
        read(data)["a", "000002"].label()


def test_offsets_without_a_frame_are_told(data, caplog):
    read(data, offsets=(1, -7, 7))
    assert "no frame has a label -7, +7 frames from a labelled one" in caplog.text
