"""``wrp doctor`` says of made-up folders what is in them."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.label_maps import default_palette, parse_classes
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.survey.pictures import gaps
from wrp_jax.data.survey.report import survey
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.files.records import Records
from wrp_jax.types import UserError


def put(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(path)


def video(root, label, palette=None, names=("000000", "000001", "000002")):
    rng = np.random.default_rng(0)
    for name in names:
        put(root / f"a/frames/{name}.jpg", rng.integers(0, 255, (8, 12, 3), np.uint8))
    put(root / "a/labels/000001.png", label, palette)
    return root


def ids(*values):
    return np.resize(np.array(values, np.uint8), (8, 12))


CITY = cityscapes_classes()
KINDS = {
    "palette": (ids(0, 1, 2), default_palette(), "1 palette; 12x8", "ids 0, 1, 2: ids of your own"),
    "grey": (ids(3, 9), None, "1 8-bit grey; 12x8", "ids 3, 9: ids of your own classes"),
    "deep": (
        ids(3, 9).astype(np.uint16) * 100,
        None,
        "1 16-bit grey",
        "300, 900: more than labels",
    ),
    "mask": (ids(0, 255), None, "8-bit grey", "0/255 masks"),
    "labelIds": (ids(*CITY.ids), None, "8-bit grey", "Cityscapes' labelIds"),
    "trainIds": (ids(*range(19), 255), None, "8-bit grey", "Cityscapes' trainIds"),
    "VOC": (ids(0, 15, 255), None, "8-bit grey", "as PASCAL VOC's"),
    "colors": (
        CITY.colors[ids(0, 5, 7)],
        None,
        "1 RGB; 12x8",
        "3 colours: all of them Citysc",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_labels(tmp_path, kind):
    label, palette, *says = KINDS[kind]
    lines, problems = survey(video(tmp_path / "D", label, palette), 100)
    text = "\n".join(lines)
    assert text.startswith(f"{tmp_path / 'D'} is a folder that wrp reads")
    assert "a/frames: 3 frames: 3 JPEG; 12x8" in text and problems == 0
    for said in says:
        assert said in text
    if kind == "deep":
        assert "to begin with" not in text
        return
    classes = parse_classes(json.loads(text.rpartition("to begin with: ")[2]), "it")
    if kind in ("labelIds", "trainIds"):
        assert classes.names[13] == "car" and classes.void_index == 19
    elif kind == "palette":
        assert classes.colors.tolist() == default_palette()[:3].tolist()
    elif kind == "mask":
        assert classes.names == ("background", "object")
    elif kind == "colors":
        found = {tuple(color) for color in classes.colors.tolist()}
        assert found == {tuple(CITY.colors[i].tolist()) for i in (0, 5, 7)}


def test_what_speaks_against_a_folder(tmp_path, wrp, capsys):
    root = video(tmp_path / "D", ids(3, 9), names=("000000", "000001", "000002", "000007"))
    put(root / "a/labels/000005.png", np.zeros((4, 4), np.uint8))
    put(root / "b/labels/1.png", CITY.colors[ids(0, 5)])
    put(root / "b/frames/1.png", np.zeros((5, 5, 3), np.uint8))
    (root / "b/labels/2.png").write_bytes(b"nothing")
    content = {"classes": [{"id": 3, "name": "x", "color": CITY.colors[0].tolist()}]}
    (root / "classes.json").write_text(json.dumps(content))
    assert wrp("doctor", str(root)) == 1
    text = capsys.readouterr().out
    for said in (
        "a gap in time between 000002 and 000007",
        "! a/labels has ids that classes.json does not have: 0, 9.",
        "has pictures of 12x8 and of 4x4: a sequence has one size",
        "! a/labels has 1 label without a frame in a/frames, the first is 000005.",
        "! b/labels is 12x8, the frames 5x5: make them equal.",
        "! b/labels has 1 colour that no class of classes.json has, the first is [153, 153, 153].",
        "2.png is not a picture",
        "GB free on the disk",
        "7 problems found.",
    ):
        assert said in text, text
    assert "to begin with" not in text


def test_ids_of_classes_json_are_not_guessed_at(tmp_path):
    root = video(tmp_path / "D", ids(0, 15, 255))
    classes = [{"id": i, "name": f"class {i}", "void": i == 255} for i in (0, 15, 255)]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    lines, problems = survey(root, 100)
    assert "  ids 0, 15, 255: ids of classes.json" in lines and problems == 0


def test_a_folder_without_pictures_is_a_problem(tmp_path, wrp, capsys):
    (tmp_path / "empty").mkdir()
    assert wrp("doctor", str(tmp_path / "empty")) == 1
    said = capsys.readouterr().out
    assert f"! {tmp_path / 'empty'} holds no pictures" in said and "1 problem found." in said


def test_an_export_names_the_command(tmp_path, wrp, capsys):
    put(tmp_path / "E/JPEGImages/1.png", np.zeros((8, 12, 3), np.uint8))
    put(tmp_path / "E/SegmentationClass/1.png", ids(0, 15, 255), default_palette())
    assert wrp("doctor", str(tmp_path / "E")) == 0
    said = capsys.readouterr().out
    assert f"run 'wrp import {tmp_path / 'E'} D'" in said and "a classes.json to begin" not in said
    assert "PASCAL VOC: 1 frame, 1 label; classes: background, aeroplane," in said
    put(tmp_path / "E/SegmentationClass/2.png", ids(0, 15, 255), default_palette())
    lines, _ = survey(tmp_path / "E", 10)
    assert any("1 label without a frame here, such as 2: give the frames" in s for s in lines)
    assert wrp("doctor", str(tmp_path / "none")) == 2


def test_gaps():
    assert gaps(["f1", "f2", "f3", "f7"]) == [("f3", "f7")]
    assert gaps(["f10", "f12", "f14", "f16"]) == [] and gaps(["a", "b", "c"]) == []


def test_labels_of_broken_numbers_and_endless_classes(tmp_path):
    folder = video(tmp_path / "D", ids(1, 2))
    Image.fromarray(np.array([[np.nan, np.inf]], np.float32)).save(folder / "a/labels/000001.tif")
    (folder / "classes.json").write_text("[" * 100_000)
    text = "\n".join(survey(folder, 100)[0])
    assert "000001.tif holds float32 numbers" in text and "nested too deeply" in text


def test_pictures_are_not_kept_in_memory(tmp_path):
    (tmp_path / "D/frames").mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (500, 500)).save(tmp_path / f"D/frames/{number}.png")
    tracemalloc.start()
    try:
        survey(tmp_path / "D", 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * 3 * 500 * 500


def test_an_output_and_a_video_are_named_with_the_commands_that_take_them(tmp_path):
    out, film = tmp_path / "out", tmp_path / "clip.mp4"
    put(out / "a/labels/000001.png", ids(0, 1))
    put(out / "a/overlays/000001.png", ids(0, 1))
    (out / "run.json").write_text(json.dumps({"methods": [], "protocol": "", "windows": []}))
    lines, problems = survey(out, 200)
    assert problems == 1 and "is not finished" in lines[-1]
    metrics = {"method": "static", "methods": {"static": {"mean": 71.25}}, "frames": 1}
    (out / "metrics.json").write_text(json.dumps({**metrics, "windows": 1}))
    records = Records(out)
    records.add("", [out / "a/labels/000001.png", out / "a/overlays/000001.png"])
    records.save()
    lines, problems = survey(out, 200)
    assert problems == 0 and lines[1:] == [
        "labelled by static: frames 1, windows 1; mIoU 71.2 %",
        "files it records: 2, of which 0 are gone",
    ]
    (out / "a/overlays/000001.png").unlink()
    lines, problems = survey(out, 200)
    assert problems == 1 and "000001.png is gone (1 in all)" in lines[-1]
    assert "an output of wrp propagate: 'wrp view" in lines[0] and "wrp import" not in lines[0]
    with pytest.raises(UserError, match="is an output of wrp propagate: 'wrp view"):
        import_project(out, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    film.write_bytes(b"film")
    lines, problems = survey(film, 200)
    assert problems == 1 and len(lines) == 1 and "cannot be read as a video" in lines[0]
