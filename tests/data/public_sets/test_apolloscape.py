"""A made-up ApolloScape of pictures of 4x10: two roads, two cameras, lists of the authors."""

import numpy as np
import pytest
from made_up_sets import (
    converted,
    expect_clips,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    write,
    write_pair,
    written,
)

from wrp_jax.data.public_sets import apolloscape
from wrp_jax.data.windows import read_windows

SEQUENCE = "road01_ins_Record001_Camera_5"
EVERY_ID = (0, 1, 17, *range(33, 41), 49, 50, 65, 66, 67, *range(81, 87), *range(97, 101), 113)
EVERY_ID += (*range(161, 169), 255)
IDS = np.resize(EVERY_ID, (4, 10))


def _name(step, camera=5):
    return f"170908_0615{step:02d}427_Camera_{camera}"


def _add(root, road, record, steps, ids, camera=5):
    for step in steps:
        place = f"{record}/Camera {camera}"
        name = _name(step, camera)
        write_pair(
            root / road / "ColorImage" / place / f"{name}.jpg",
            root / road / "Label" / place / f"{name}_bin.png",
            ids,
            step,
        )


def _list(root, road, split, steps, record="Record001"):
    lines = (
        f"{road}/ColorImage/{record}/Camera 5/{_name(i)}.jpg\t"
        f"{road}/Label/{record}/Camera 5/{_name(i)}_bin.png\n"
        for i in steps
    )
    (root / "public_image_lists").mkdir(exist_ok=True)
    (root / "public_image_lists" / f"{road}_{split}.lst").write_text("".join(lines))


@pytest.fixture
def unpacked(tmp_path):
    """A record of 50 frames, those from 46 on for testing; some frames of others."""
    root = tmp_path / "apollo"
    _add(root, "road01_ins", "Record001", range(46), IDS)
    _add(root, "road01_ins", "Record001", range(46, 50), np.full((4, 10), 255))
    _add(root, "road01_ins", "Record002", range(2), IDS, camera=6)
    _add(root, "road02_seg", "Record001", range(3), np.full((4, 10), 161))
    place = "road01_ins/Label/Record001/Camera 5"
    write(root / place / f"{_name(0)}_instanceIds.png", np.zeros((4, 10)))
    (root / place / f"{_name(0)}.json").write_text("{}")
    return root


def test_every_frame_and_its_label(unpacked, tmp_path):
    source = converted("apolloscape", unpacked, tmp_path / "D")
    assert source.sequences == (
        SEQUENCE,
        "road01_ins_Record002_Camera_6",
        "road02_seg_Record001_Camera_5",
    )
    assert source.frame_names(SEQUENCE) == tuple(_name(i) for i in range(50))
    # The label of a frame for testing holds nothing but 255.
    assert source.label_names(SEQUENCE) == {_name(i) for i in range(46)}
    assert [int(source.frame(SEQUENCE, _name(i))[0, 0, 0]) for i in (0, 7)] == [0, 7]
    ids = written(source, SEQUENCE, _name(7))
    groups = {161: 33, 162: 34, 163: 35, 164: 36, 165: 37, 166: 38, 167: 39, 168: 40}
    ignored = {0: 255, 1: 255, 98: 255, 99: 255, 100: 255}
    expected = [(groups | ignored).get(int(i), int(i)) for i in IDS.flat]
    np.testing.assert_array_equal(ids, np.reshape(expected, IDS.shape))
    car = source.classes.names.index("car")
    assert (source.label("road02_seg_Record001_Camera_5", _name(0)) == car).all()


def test_the_classes_are_those_of_the_evaluation_in_their_order():
    classes = apolloscape.apolloscape_classes()
    assert classes.num_classes == 23 and classes.void_index == 22 and classes.ids[22] == 255
    assert classes.names[:3] == ("sky", "car", "motorbicycle")
    assert classes.names[9] == "road" and classes.names[20:22] == ("building", "vegetation")
    assert len(set(map(tuple, classes.colors.tolist()))) == 23


def test_without_lists_of_the_authors_all_is_cut_into_partitions(unpacked, tmp_path, monkeypatch):
    monkeypatch.setattr(apolloscape, "PARTITION", 5)
    source = converted("apolloscape", unpacked, tmp_path / "D")
    assert len(rows(tmp_path / "D", "all")) == 46 + 2 + 3
    windows = read_windows(tmp_path / "D/splits/all_windows.txt", source)
    # 45 ... 49 has no label in its middle; 2 and 3 frames of two sequences are none of 5.
    starts = range(0, 45, 5)
    assert [(w.sequence, w.key, w.first, w.last) for w in windows] == [
        (SEQUENCE, _name(i + 2), _name(i), _name(i + 4)) for i in starts
    ]
    assert rows(tmp_path / "D", "all_middle") == [(SEQUENCE, _name(i + 2)) for i in starts]


def test_lists_of_the_authors(unpacked, tmp_path):
    # Steps 5 ... 27 without 6: a partition needs 21 frames in a row.
    train = [5, *range(7, 29)]
    _list(unpacked, "road01_ins", "train", reversed(train))
    _list(unpacked, "road01_ins", "val", [30, 31])
    _list(unpacked, "road01_ins", "test", [*range(46, 50), 40])
    _list(unpacked, "road03_ins", "train", [0])  # of a road that is not there
    source = converted("apolloscape", unpacked, tmp_path / "D")
    assert source.label_names(SEQUENCE) == {_name(i) for i in range(46)} - {_name(40)}
    out = tmp_path / "D"
    assert sorted(rows(out, "train")) == [(SEQUENCE, _name(i)) for i in train]
    assert rows(out, "val") == [(SEQUENCE, _name(i)) for i in (30, 31)]
    assert rows(out, "train_middle") == [(SEQUENCE, _name(17))]
    assert rows(out, "train_windows") == [(SEQUENCE, _name(17), _name(7), _name(27))]
    written_lists = {path.stem for path in (out / "splits").iterdir()}
    assert written_lists == {"train", "val", "train_middle", "train_windows"}


def test_clips_of_it(unpacked, tmp_path):
    source, lists = expect_clips("apolloscape", unpacked, tmp_path)
    assert len(source.label_names(SEQUENCE)) == 46 and lists == ["all_windows"]


def test_a_stopped_run_goes_on(unpacked, tmp_path):
    expect_resume("apolloscape", unpacked, tmp_path / "D")


@parametrize_mistakes(
    ("nothing", "holds no road01_ins/Label/<record>/<camera>"),
    ("frame", f"{_name(3)}_bin.png has no frame .*{_name(3)}.jpg .2 of 50 labels have none"),
    ("size", f"{_name(3)}_bin.png is .*but its frame is 10x4"),
    ("ids", f"{_name(3)}_bin.png has 40 pixels with ids that are none of this set, the first 2"),
    ("list", f"road01_ins_val.lst:2: there is no .*{_name(55)}.jpg .2 in all.: unpack road01_ins"),
    ("label", f"frame {SEQUENCE} {_name(3)} is in a list and has no label: unpack Label"),
    ("both", f"frame {SEQUENCE} {_name(3)} is in a list and has no label"),
)
def test_mistakes_are_told_in_one_sentence(unpacked, tmp_path, spoil, says):
    data = unpacked
    place = "Record001/Camera 5"
    label = data / "road01_ins/Label" / place / f"{_name(3)}_bin.png"
    if spoil == "nothing":
        data = unpacked / "road01_ins"
    elif spoil == "frame":
        for step in (3, 7):
            (data / "road01_ins/ColorImage" / place / f"{_name(step)}.jpg").unlink()
    elif spoil == "size":
        write(label, np.zeros((10, 4)))
    elif spoil == "ids":
        write(label, np.full((4, 10), 2))
    elif spoil == "list":
        _list(data, "road01_ins", "val", [1, 55, 56])
    elif spoil == "label":
        label.unlink()
        _list(data, "road01_ins", "val", [3])
    else:
        _list(data, "road01_ins", "train", [3])
        _list(data, "road01_ins", "test", [3])
    early = spoil not in ("size", "ids")
    expect_sentence("apolloscape", data, tmp_path / "D", says, untouched=early)
