"""Labels that are given one by one: of which frame each is, and what its classes are."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.data.tool_formats.label_files import GivenLabel, find_frame, parse_label
from wrp_jax.types import UserError

FRAMES = ("000009", "000010", "000011")
LABEL = np.repeat([[0, 0, 3, 7]], 3, axis=0).astype(np.uint8)


@pytest.fixture
def clip(tmp_path):
    """A folder of three frames."""
    (tmp_path / "clip").mkdir()
    for name in FRAMES:
        Image.new("RGB", (4, 3)).save(tmp_path / "clip" / f"{name}.png")
    return tmp_path / "clip"


def save(path, pixels, palette=None):
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels, np.uint8))
    if palette is not None:
        picture.putpalette(bytes(np.asarray(palette, np.uint8)))
    picture.save(path)
    return str(path)


def imported(clip, *labels, **options):
    import_project(clip, clip.parent / "D", labels=labels, **options)
    return open_source(str(clip.parent / "D"))


@pytest.mark.parametrize(
    ("said", "frames", "found"),
    [
        ("000010", FRAMES, "000010"),
        ("10", FRAMES, "000010"),
        ("mask_10", FRAMES, "000010"),
        ("cam2_0010", ("cam2_0009", "cam2_0010"), "cam2_0010"),
        ("10", ("cam2_0009", "cam2_0010"), "cam2_0010"),
        ("first", ("first", "second"), "first"),
    ],
)
def test_the_frame_of_a_label(said, frames, found):
    assert find_frame(GivenLabel("x.png", said), frames) == found


@pytest.mark.parametrize(
    ("said", "frames", "why"),
    [
        ("12", FRAMES, "x.png is a label of frame 12, and the video has the frames 000009 to"),
        ("mask", FRAMES, "x.png has no number in its name"),
        ("10_v2", FRAMES, "x.png has several numbers in its name"),
        ("1", ("a1", "b1"), "can be a label of a1 and of b1: give --label=a1:x.png"),
    ],
)
def test_a_label_of_no_frame(said, frames, why):
    with pytest.raises(UserError, match=why):
        find_frame(GivenLabel("x.png", said), frames)


def test_the_frame_before_the_path(tmp_path):
    path = save(tmp_path / "some 3.png", LABEL)
    assert parse_label(path).frame == "some 3"
    assert parse_label(f"10:{path}") == (tmp_path / "some 3.png", "10")
    with pytest.raises(UserError, match=r"no file nowhere.png"):
        parse_label("10:nowhere.png")


PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[[3, 7]] = (200, 0, 0), (0, 0, 200)
MASK = LABEL // 3 > 0
KINDS = {
    "grey": (LABEL, None, (0, 3, 7), None),
    "palette": (LABEL, PALETTE, (0, 3, 7), PALETTE[[0, 3, 7]]),
    "colours": (PALETTE[LABEL], None, (0, 1, 2), PALETTE[[0, 7, 3]]),
    "mask": (np.where(MASK, 255, 0), None, (0, 1), None),
    "void": (np.where(LABEL == 3, 255, LABEL), None, (0, 7, 255), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_classes_of_a_label_that_comes_alone(clip, kind):
    pixels, palette, ids, colors = KINDS[kind]
    source = imported(clip, save(clip.parent / "000010.png", pixels, palette))
    assert source.classes.ids == ids
    assert source.classes.void == tuple(i == 255 for i in ids)
    if colors is not None:
        np.testing.assert_array_equal(source.classes.colors, colors)
    assert source.label_names("clip") == {"000010"}
    label = source.label("clip", "000010")
    for value in np.unique(LABEL[0] if kind != "mask" else MASK[0]):
        here = (LABEL if kind != "mask" else MASK) == value
        assert len(np.unique(label[here])) == 1
    assert len(np.unique(label)) == len(ids)


def test_a_bit_is_a_mask(clip):
    path = clip.parent / "000010.png"
    Image.fromarray(MASK).save(path)
    source = imported(clip, str(path))
    np.testing.assert_array_equal(source.label("clip", "000010"), MASK)


def test_classes_beside_the_label(clip):
    entries = [{"id": i, "name": n} for i, n in ((0, "road"), (3, "car"), (7, "sky"), (9, "bus"))]
    path = save(clip.parent / "labels/10.png", LABEL)
    (clip.parent / "labels/classes.json").write_text(json.dumps({"classes": entries}))
    source = imported(clip, path)
    assert source.classes.names == ("road", "car", "sky", "bus")
    np.testing.assert_array_equal(source.label("clip", "000010")[0], [0, 0, 1, 2])


def test_several_labels_and_one_more_later(clip):
    first, second = (save(clip.parent / f"0{n}.png", LABEL) for n in ("09", "11"))
    assert imported(clip, first).label_names("clip") == {"000009"}
    assert imported(clip, first, second).label_names("clip") == {"000009", "000011"}


def broken(clip):
    """What is wrong with a label, and what is said of it; ``make`` writes it."""
    home = clip.parent
    photograph = np.random.default_rng(0).integers(0, 255, (3, 4, 3))
    wide = np.arange(300).reshape(10, 30) % 90
    other = np.roll(PALETTE, 4, axis=0)
    entries = [{"id": i, "name": str(i), "color": PALETTE[i].tolist()} for i in (0, 3, 7)]
    return {
        "size": (lambda: save(home / "10.png", LABEL[:, :2]), "is 2x3 but its frame 000010 is 4x3"),
        "beyond": (lambda: save(home / "99.png", LABEL), "label of frame 99, and the video has"),
        "no picture": (lambda: write(home / "10.png", "text"), "is not a picture"),
        "JPEG": (lambda: save(home / "10.jpg", LABEL), "save labels as PNG"),
        "photograph": (lambda: save(home / "10.png", wide), "too many or too large ids"),
        "nothing": (lambda: "10:nothing.png", "no file nothing.png"),
        "colours": (
            lambda: save(listed(home, entries) / "10.png", photograph),
            "which is none of classes.json",
        ),
        "palette": (
            lambda: save(listed(home, entries) / "10.png", LABEL, other),
            "palette in another order than the ids of classes.json",
        ),
    }


def write(path, text):
    path.write_text(text)
    return str(path)


def listed(home, entries):
    (home / "labels").mkdir()
    write(home / "labels/classes.json", json.dumps({"classes": entries}))
    return home / "labels"


@pytest.mark.parametrize(
    "fault",
    ["size", "beyond", "no picture", "JPEG", "photograph", "nothing", "colours", "palette"],
)
def test_nothing_is_written_of_a_label_that_does_not_fit(clip, fault):
    make, said = broken(clip)[fault]
    label = make()
    with pytest.raises(UserError, match=said):
        imported(clip, label)
    assert not (clip.parent / "D").exists()


def test_twice_the_same_frame(clip):
    one, other = (save(clip.parent / name, LABEL) for name in ("10.png", "010.png"))
    with pytest.raises(UserError, match="both labels of frame 000010"):
        imported(clip, one, other)


def test_labels_go_with_one_video(clip):
    label = save(clip.parent / "10.png", LABEL)
    (clip.parent / "two").mkdir()
    for name in ("a", "b"):
        shutil.copytree(clip, clip.parent / "two" / name)
    with pytest.raises(UserError, match="goes with one video, and there are 2"):
        import_project(clip.parent / "two", clip.parent / "D", labels=[label])
    imported(clip, label)
    with pytest.raises(UserError, match="D is the folder of wrp: leave --label out"):
        import_project(clip.parent / "D", clip.parent / "E", labels=[label])
