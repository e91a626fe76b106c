import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wrp_jax.data import label_maps
from wrp_jax.types import UNLABELLED, ClassMap, UserError

CLASSES = {
    "classes": [
        {"id": 0, "name": "road", "color": [128, 64, 128]},
        {"id": 7, "name": "car", "color": [0, 0, 142]},
        {"id": 255, "name": "void", "color": [0, 0, 0], "void": True},
    ],
    "void_id": 255,
}
MAP = label_maps.parse_classes(CLASSES, "classes.json")


def test_reads_ids_names_colors_and_void(tmp_path: Path):
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    classes = label_maps.read_classes(tmp_path / "classes.json")
    assert classes.ids == (0, 7, 255)
    assert classes.names == ("road", "car", "void")
    assert classes.colors.tolist() == [[128, 64, 128], [0, 0, 142], [0, 0, 0]]
    assert classes.void == (False, False, True) and classes.void_index == 2


def test_a_byte_order_mark_is_passed_over(tmp_path: Path):
    content = {"classes": [{"id": 3, "name": "straße"}]}
    text = json.dumps(content, ensure_ascii=False)
    (tmp_path / "classes.json").write_text(text, encoding="utf-8-sig")
    assert label_maps.read_classes(tmp_path / "classes.json").names == ("straße",)


def test_names_are_stripped_and_other_keys_are_told_once(caplog, monkeypatch):
    monkeypatch.setattr(label_maps, "_warned", set())
    content = _break(
        _break(CLASSES, 0, name=" road\u00a0", trainId=3), 1, trainId=4, colr=[1, 2, 3]
    )
    content |= {"num_classes": 3, "note": "a remark", "Licence": "CC0", "_x": 1}
    for _ in range(2):
        assert label_maps.parse_classes(content, "x.json").names == ("road", "car", "void")
    assert len(caplog.records) == 2
    assert "x.json: the key 'trainId' is passed over" in caplog.text
    assert "'colr' is passed over; did you mean 'color'?" in caplog.text


def test_a_key_that_stands_twice_is_refused(tmp_path: Path):
    path = tmp_path / "classes.json"
    path.write_text('{"classes": [{"id": 0, "id": 1, "name": "a"}]}')
    with pytest.raises(UserError, match="the key 'id' occurs twice"):
        label_maps.read_classes(path)


def test_color_and_void_may_be_left_out():
    entries = [{"id": 0, "name": "x"}, {"id": 2, "name": "y"}]
    classes = label_maps.parse_classes({"classes": entries, "void_id": 2}, "f")
    assert classes.void == (False, True)
    assert classes.colors.tolist() == [[0, 0, 0], [0, 128, 0]]


def test_default_palette_is_that_of_pascal_voc():
    first = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    colors = label_maps.default_palette()
    assert colors[:5].tolist() == first and colors[20].tolist() == [0, 64, 128]
    assert len({tuple(c) for c in colors.tolist()}) == 256


def test_json_round_trip():
    again = label_maps.parse_classes(label_maps.classes_to_json(MAP), "f")
    assert label_maps.same_classes(again, MAP)
    assert (again.colors == MAP.colors).all()


def _break(content, index, **changes):
    content = copy.deepcopy(content)
    content["classes"][index].update(changes)
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], 'no list "classes"'),
        ({"classes": []}, 'no list "classes"'),
        ({"classes": [3]}, "needs an id"),
        (_break(CLASSES, 0, id="0"), "needs an id"),
        (_break(CLASSES, 0, id=True), "needs an id"),
        (_break(CLASSES, 0, id=256), "needs an id"),
        (_break(CLASSES, 0, id=7), "id 7 is used by more than one"),
        (_break(CLASSES, 0, name="car"), "'car' is used by more than one"),
        (_break(CLASSES, 0, name=" "), "needs a name"),
        (_break(CLASSES, 0, name=" car "), "'car' is used by more than one"),
        (_break(CLASSES, 0, Void=True), "has the key 'Void': write it as 'void'"),
        (_break(CLASSES, 0, colour=[1, 2, 3]), "has the key 'colour': write it as 'color'"),
        (_break(CLASSES, 0, ID=3), "has the key 'ID': write it as 'id'"),
        ({**CLASSES, "num_classes": 2}, "num_classes 2 and 3 classes"),
        ({**CLASSES, "voidId": 7}, "has the key 'voidId': write it as 'void_id'"),
        (_break(CLASSES, 0, name="a\nb"), "needs a name in one line"),
        (_break(CLASSES, 0, color=[1, 2]), "three whole numbers"),
        (_break(CLASSES, 0, color=[1, 2, 300]), "three whole numbers"),
        (_break(CLASSES, 0, void="no"), "true or false"),
        (_break(CLASSES, 2, void=False), "make the two agree"),
        ({**_break(CLASSES, 2, void=False), "void_id": None}, "id 255 marks pixels"),
        ({**CLASSES, "void_id": 9}, "void_id 9 is not the id"),
        ({**CLASSES, "void_id": "void"}, "void_id 'void'"),
        ({"classes": [{"id": 1, "name": "v", "void": True}]}, "every class is void"),
    ],
)
def test_broken_class_maps_are_refused(content, said):
    with pytest.raises(UserError, match=r"classes\.json") as error:
        label_maps.parse_classes(content, "classes.json")
    assert said in str(error.value)


@pytest.mark.parametrize("text", [None, "", "{", "[" * 100_000])
def test_missing_or_broken_file_shows_an_example(tmp_path: Path, text):
    if text is not None:
        (tmp_path / "classes.json").write_text(text)
    with pytest.raises(UserError, match='"name": "road"'):
        label_maps.read_classes(tmp_path / "classes.json")


def test_ids_become_indices():
    label = np.array([[0, 7], [255, 7]], np.uint8)
    indices = label_maps.ids_to_indices(label, MAP, "x.png")
    assert indices.tolist() == [[0, 1], [2, 1]] and indices.dtype == np.int32
    assert label_maps.ids_to_indices(label.astype(np.uint16), MAP, "x").tolist() == indices.tolist()


def test_outside_ids_are_counted_and_located():
    label = np.zeros((4, 5), np.uint8)
    label[2, 3], label[3, 1] = 9, 3
    with pytest.raises(UserError) as error:
        label_maps.ids_to_indices(label, MAP, "x.png")
    for said in ("x.png", "2 pixels", "(3, 9;", "the first is 9 at row 2, column 3"):
        assert said in str(error.value)


@pytest.mark.parametrize("value", [-1, 256, 65535])
def test_ids_that_no_8_bit_file_holds(value):
    with pytest.raises(UserError, match="1 pixel with"):
        label_maps.ids_to_indices(np.array([[0, value]], np.int32), MAP, "x.png")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.zeros((2, 2, 3), np.uint8), "colour picture"),
        (np.zeros((2, 2), bool), "1-bit mask"),
        (np.zeros((2, 2), np.float32), "float32 numbers"),
        (np.array([[0, 255]], np.uint8), "0/255 mask"),
        (np.array([[255, 255]], np.uint8), "0/255 mask"),
    ],
)
def test_what_is_no_label_is_refused_with_a_hint(label, said):
    binary = label_maps.parse_classes(
        {"classes": [{"id": 0, "name": "rest"}, {"id": 1, "name": "object"}]}, "f"
    )
    with pytest.raises(UserError, match=r"x\.png") as error:
        label_maps.ids_to_indices(label, binary, "x.png")
    assert said in str(error.value) and str(error.value).count("\n") == 0


def test_a_0_255_label_is_fine_where_255_is_void():
    label = np.array([[0, 255]], np.uint8)
    assert label_maps.ids_to_indices(label, MAP, "x").tolist() == [[0, 2]]


@given(
    st.lists(st.integers(0, 254), min_size=1, max_size=254, unique=True),
    hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
)
def test_indices_to_ids_and_back(ids, numbers):
    count = len(ids)
    classes = ClassMap(
        tuple(ids), tuple(map(str, ids)), np.zeros((count, 3), np.uint8), (False,) * count
    )
    indices = (numbers % count).astype(np.int32)
    written = label_maps.indices_to_ids(indices, classes)
    assert written.dtype == np.uint8 and set(written.ravel().tolist()) <= set(ids)
    assert (label_maps.ids_to_indices(written, classes, "x") == indices).all()


def test_unlabelled_is_written_as_255_and_nothing_else_slips_through():
    assert label_maps.indices_to_ids(np.array([[UNLABELLED, 1]]), MAP).tolist() == [[255, 7]]
    for wrong in (-1, 3, 254, 256):
        with pytest.raises(ValueError, match="class ind"):
            label_maps.indices_to_ids(np.array([[0, wrong]]), MAP)


def test_palette_has_class_colors_at_the_ids():
    colors = label_maps.palette(MAP)
    assert colors[[0, 7, 255]].tolist() == [[128, 64, 128], [0, 0, 142], [0, 0, 0]]
    free = label_maps.parse_classes({"classes": [{"id": 1, "name": "a"}]}, "f")
    assert label_maps.palette(free)[255].tolist() == [255, 255, 255]
