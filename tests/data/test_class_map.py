import json

import numpy as np
import pytest

from wrp_jax.data.class_map import class_map
from wrp_jax.data.label_maps import default_palette
from wrp_jax.types import ClassMap, UserError


def test_names_have_the_ids_of_their_places():
    classes = class_map(["road", "void", "car"])
    assert classes.ids == (0, 1, 2) and classes.names == ("road", "void", "car")
    assert classes.void == (False, True, False)
    np.testing.assert_array_equal(classes.colors, default_palette()[:3])


def test_ids_with_names():
    classes = class_map({np.int64(7): "road", 255: "ignored"}, void="ignored")
    assert classes.ids == (7, 255) and classes.void == (False, True)
    assert class_map(["a", "b"], void=["b"]).void == (False, True)
    assert class_map(["car", "carpet"], void="carpet").void == (False, True)  # a whole name


@pytest.mark.parametrize(
    ("classes", "void", "says"),
    [
        ({0: "background", 255: "object"}, None, r"'object' has the id 255.*void=\['object'\] if"),
        ([f"c{i}" for i in range(256)], None, "'c255' has the id 255"),
        (
            ["road", "car"],
            ["roud"],
            "void names 'roud', which no class is called: use .* road, car",
        ),
    ],
)
def test_void_is_said_and_never_guessed(classes, void, says):
    with pytest.raises(UserError, match=says):
        class_map(classes, void=void)


def test_files_their_content_and_class_maps(tmp_path):
    content = {"classes": [{"id": 3, "name": "sky", "color": [1, 2, 3]}]}
    (tmp_path / "classes.json").write_text(json.dumps(content))
    for given in (content, tmp_path / "classes.json", str(tmp_path / "classes.json")):
        classes = class_map(given)
        assert isinstance(classes, ClassMap) and classes.ids == (3,)
        assert classes.colors.tolist() == [[1, 2, 3]]
    assert class_map(classes) is classes


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (5, "of type int"),
        ({300: "x"}, "a whole number from 0 to 255"),
        ({0.5: "x"}, "a whole number from 0 to 255"),
        (["a", "a"], "'a' is used by more than one class"),
        (["void"], "every class is void"),
        ([1, 2], "needs a name"),
        ("missing.json", "missing.json is missing"),
    ],
)
def test_mistakes_are_one_sentence(classes, says):
    with pytest.raises(UserError, match=says) as raised:
        class_map(classes)
    assert "\n" not in str(raised.value)
