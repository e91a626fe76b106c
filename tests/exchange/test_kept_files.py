"""Imports and exports write over nothing that somebody else has made or changed."""

import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.exchange.export_project import export_project
from wrp_jax.types import UserError

IDS = np.array([[3, 7, 7]], np.uint8)


def video(root, *names, suffix="png"):
    for kind in ("frames", "labels"):
        (root / "s" / kind).mkdir(parents=True)
    for name in ("0", "1"):
        Image.new("RGB", (3, 1)).save(root / f"s/frames/{name}.{suffix}")
    Image.fromarray(IDS).save(root / "s/labels/0.png")
    entries = [{"id": i, "name": n} for i, n in zip((3, 7), names, strict=True)]
    (root / "classes.json").write_text(json.dumps({"classes": entries}))
    return root


def content(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_an_import_into_a_folder_of_ones_own(tmp_path):
    export_project(video(tmp_path / "D", "road", "car"), tmp_path / "E", "voc")
    mine = video(tmp_path / "mine", "sky", "sea", suffix="jpg")
    before = content(mine)
    with pytest.raises(UserError, match="is there already and not of an earlier run"):
        import_project(tmp_path / "E", mine)
    assert content(mine) == before


def test_a_label_that_somebody_has_added_to_an_import(tmp_path):
    data = video(tmp_path / "D", "road", "car")
    export_project(data, tmp_path / "E", "voc")
    import_project(tmp_path / "E", tmp_path / "D2")
    added = tmp_path / "D2/s/labels/1.png"
    Image.fromarray(IDS[:, ::-1]).save(added)
    before = added.read_bytes()
    Image.fromarray(IDS).save(data / "s/labels/1.png")
    export_project(data, tmp_path / "E", "voc")
    with pytest.raises(UserError, match=r"labels/1\.png is there already"):
        import_project(tmp_path / "E", tmp_path / "D2")
    assert added.read_bytes() == before
    added.unlink()
    import_project(tmp_path / "E", tmp_path / "D2")
    assert added.is_file()


def test_a_label_that_somebody_has_corrected_in_an_export(tmp_path):
    data, dest = video(tmp_path / "D", "road", "car"), tmp_path / "E"
    export_project(data, dest, "voc")
    label = dest / "SegmentationClass/s/0.png"
    label.write_bytes(label.read_bytes() + b"x")
    with pytest.raises(UserError, match="were changed since they were written"):
        export_project(data, dest, "voc")
    assert label.read_bytes().endswith(b"x")
    label.unlink()
    (dest / "run.json").unlink()  # the records tell whose the folder is
    assert "1 files are new" in export_project(data, dest, "voc")


@pytest.mark.parametrize("name", ["E.zip", "E.ZIP"])
def test_an_archive_takes_the_place_of_an_export_alone(tmp_path, name):
    data, dest = video(tmp_path / "D", "road", "car"), tmp_path / name
    export_project(data, dest, "voc")
    before = dest.read_bytes()
    export_project(data, dest, "voc")
    assert dest.read_bytes() == before
    dest.write_bytes(b"PK my annotations")
    with pytest.raises(UserError, match="is there already and no export of wrp"):
        export_project(data, dest, "voc")
    assert dest.read_bytes() == b"PK my annotations"
    with pytest.raises(UserError, match="lies inside the input"):
        export_project(data, data / name, "voc")


@pytest.mark.parametrize("to", ["cvat", "voc"])
@pytest.mark.parametrize("names", [("background", "x"), ("void", "x"), ("x", "Background")])
def test_classes_called_like_those_that_tools_add(tmp_path, to, names):
    export_project(video(tmp_path / "D", *names), tmp_path / "E", to)
    import_project(tmp_path / "E", tmp_path / "D2")
    first, second = (open_source(str(tmp_path / d)) for d in ("D", "D2"))
    assert first.classes.names == second.classes.names
    np.testing.assert_array_equal(first.label("s", "0"), second.label("s", "0"))


@pytest.mark.parametrize("names", [("#1", "x"), ("a:b", "a b")])
def test_classes_that_a_label_map_cannot_hold(tmp_path, names):
    with pytest.raises(UserError, match=r"cannot stand in labelmap\.txt"):
        export_project(video(tmp_path / "D", *names), tmp_path / "E", "cvat")
