"""``wrp import`` on made-up exports of each tool."""

import json

import numpy as np
import pytest
from made_up_exports import (
    SIZE,
    halves,
    imported,
    named,
    write,
    write_frames,
    write_json,
    written,
    zipped,
)
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.tool_formats import run_lengths
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.types import UserError

COLORS = np.array([(0, 0, 0), (128, 64, 128), (0, 0, 142)], np.uint8)
NAMES = ("background", "road", "car")


def cvat_masks(root, *, sequence="", palette=False):
    """Two frames, the first of which has a label."""
    write_frames(root / "JPEGImages" / sequence, "000000", "000001")
    label = halves()
    path = root / "SegmentationClass" / sequence / "000000.png"
    if palette:  # in another order than that of labelmap.txt
        write(path, 2 - label, COLORS[::-1])
    else:
        write(path, COLORS[label])
    lines = [f"{n}:{','.join(map(str, c.tolist()))}::" for n, c in zip(NAMES, COLORS, strict=True)]
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("000000\n")
    return root


def cvat_xml(root):
    write_frames(root / "images", "000000", "000001", "000002")
    mask = halves() == 1  # rows 2 to 5, columns 0 to 3, and one pixel less
    mask[2, 0] = False
    part = mask[2:6, 0:4]
    runs = ", ".join(map(str, run_lengths.mask_to_runs(part.ravel())))
    (root / "annotations.xml").write_text(
        f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels>
<label><name>road</name><color>#804080</color><attributes></attributes></label>
<label><name>car</name><color>#00008e</color></label></labels></task></meta>
<image id="0" name="000000.png" width="8" height="6">
<mask label="road" source="manual" occluded="0" rle="{runs}" left="0" top="2" width="4" height="4"
 z_order="1"></mask>
<polygon label="car" points="3.00,2.00;8.00,2.00;8.00,6.00;3.00,6.00" z_order="0"></polygon>
<box label="car" xtl="1" ytl="1" xbr="2" ybr="2"></box>
</image>
<image id="1" name="000001.png" width="8" height="6"></image>
</annotations>"""
    )
    label = halves()
    label[2, 0] = 0
    return root, label


def category(number, name, color=None):
    return {"id": number, "name": name, **({"color": color} if color else {})}


def coco_image(number, name):
    return {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]}


def coco_instances(root):
    """A polygon, plain runs, compressed runs; category ids with gaps."""
    write_frames(root / "images/street", "000000", "000001", suffix=".jpg")
    label = halves(top=3)
    plain = {"size": list(SIZE), "counts": run_lengths.mask_to_runs((label == 1).T.ravel())}
    runs = run_lengths.mask_to_runs((label == 3).T.ravel())
    annotations = [
        {"segmentation": [[4, 2, 8, 2, 8, 6, 4, 6]], "category_id": 5, "iscrowd": 0},
        {"segmentation": plain, "category_id": 2, "iscrowd": 1},
        {"segmentation": {"size": list(SIZE), "counts": run_lengths.coco_text(runs)},
         "category_id": 9, "iscrowd": 0},
    ]  # fmt: skip
    content = {
        "images": [coco_image(7, "street/000000.jpg"), coco_image(8, "street/000001.jpg")],
        "annotations": [{"id": i, "image_id": 7, **a} for i, a in enumerate(annotations)],
        "categories": [category(2, "road"), category(5, "car"), category(9, "sky")],
    }
    write_json(root / "annotations/instances_default.json", content)
    write_json(root / "annotations/captions.json", {"images": [], "annotations": []})
    return root, label


def coco_panoptic(root):
    write_frames(root / "val", "000000")
    label = halves()
    segments = np.array([0, 3, 70000])[label]
    write(
        root / "panoptic_val/000000.png",
        np.stack([segments % 256, segments // 256 % 256, segments // 65536], -1),
    )
    content = {
        "images": [coco_image(1, "000000.png")],
        "annotations": [
            {"image_id": 1, "file_name": "000000.png", "segments_info": [
                {"id": 3, "category_id": 7, "area": 4, "bbox": [0, 0, 1, 1], "iscrowd": 0},
                {"id": 70000, "category_id": 300, "area": 4, "bbox": [0, 0, 1, 1], "iscrowd": 0}]}
        ],
        "categories": [category(7, "road", [1, 2, 3]), category(300, "car", [4, 5, 6])],
    }  # fmt: skip
    write_json(root / "panoptic_val.json", content)
    return root, label


def brush(label, name):
    return {
        "type": "brushlabels", "original_height": SIZE[0], "original_width": SIZE[1],
        "value": {"format": "rle", "rle": run_lengths.write_brush(label), "brushlabels": [name]},
    }  # fmt: skip


def label_studio(root):
    label = halves()
    write_frames(root / "frames", "000000", "000001")
    polygon = {
        "type": "polygonlabels", "original_height": SIZE[0], "original_width": SIZE[1],
        "value": {"points": [[50, 100 / 3], [100, 100 / 3], [100, 100], [50, 100]],
                  "polygonlabels": ["road"]},
    }  # fmt: skip
    old = {"id": 1, "was_cancelled": False, "result": [brush(label == 2, "car")]}
    done = {"id": 2, "was_cancelled": False, "result": [brush(label == 1, "car"), polygon]}
    gone = {"id": 3, "was_cancelled": True, "result": []}
    write_json(
        root / "project.json",
        [
            {"id": 12, "data": {"image": "/data/upload/3/0a1b2c3d-000000.png"},
             "annotations": [old, done, gone], "predictions": []},
            {"id": 13, "data": {"image": "s3://bucket/000001.png"}, "annotations": []},
        ],
    )  # fmt: skip
    return root, label


def test_cvat_segmentation_masks(tmp_path):
    source = imported(cvat_masks(tmp_path / "job"), tmp_path / "D")
    assert source.sequences == ("job",) and source.frame_names("job") == ("000000", "000001")
    assert source.label_names("job") == {"000000"}
    assert source.classes.names == NAMES and source.classes.ids == (0, 1, 2)
    np.testing.assert_array_equal(source.classes.colors, COLORS)
    np.testing.assert_array_equal(source.label("job", "000000"), halves())


def test_cvat_masks_in_a_zip_with_a_palette_and_a_folder(tmp_path):
    path = zipped(cvat_masks(tmp_path / "job", sequence="street/left", palette=True), "task_1/")
    source = imported(path, tmp_path / "D", void=["background"])
    assert source.sequences == ("street_left",) and source.classes.void == (True, False, False)
    np.testing.assert_array_equal(source.label("street_left", "000000"), halves())
    frame = next(tmp_path.glob("D/street_left/frames/000001.*"))
    assert not frame.is_symlink()
    assert frame.read_bytes() == (tmp_path / "job/JPEGImages/street/left/000001.png").read_bytes()


def test_pascal_voc(tmp_path):
    root = tmp_path / "VOC2012"
    write_frames(root / "JPEGImages", "2007_000001", "2007_000002", suffix=".jpg")
    label = halves(top=255, left=15)
    write(root / "SegmentationClass/2007_000001.png", label, np.zeros((256, 3)))
    (root / "Annotations").mkdir()
    (root / "Annotations/2007_000001.xml").write_text("<annotation></annotation>")
    source = imported(root, tmp_path / "D")
    assert source.classes.num_classes == 22 and source.classes.ids[-2:] == (20, 255)
    assert source.classes.void_index == 21
    found = written(source, "VOC2012", "2007_000001")
    assert (found[0, 0], found[3, 0], found[3, 5]) == ("void", "person", "bicycle")


def test_cvat_xml(tmp_path, caplog):
    root, label = cvat_xml(tmp_path / "job")
    source = imported(root, tmp_path / "D")
    assert source.frame_names("job") == ("000000", "000001", "000002")
    assert source.label_names("job") == {"000000"}
    assert source.classes.names == ("road", "car", "unlabelled")
    assert source.classes.void == (False, False, True)
    np.testing.assert_array_equal(
        written(source, "job", "000000"), named(label, "unlabelled", "road", "car")
    )
    assert "1 box passed over" in caplog.text and "belong to several classes" in caplog.text


def test_cvat_xml_of_video(tmp_path):
    root = tmp_path / "job"
    write_frames(root / "images", "frame_000000", "frame_000001")
    (root / "annotations.xml").write_text(
        """<annotations><meta><task><labels><label><name>car</name></label></labels>
<original_size><width>8</width><height>6</height></original_size></task></meta>
<track id="0" label="car">
<polygon frame="0" keyframe="1" outside="0" points="4,0;8,0;8,6;4,6"></polygon>
<polygon frame="1" keyframe="1" outside="1" points="4,0;8,0;8,6;4,6"></polygon>
</track></annotations>"""
    )
    source = imported(root, tmp_path / "D")
    assert source.label_names("job") == {"frame_000000"}
    assert (source.label("job", "frame_000000")[:, 4:] == 0).all()


def test_coco_instances(tmp_path):
    root, label = coco_instances(tmp_path / "set")
    source = imported(root, tmp_path / "D")
    assert source.sequences == ("street",) and source.label_names("street") == {"000000"}
    assert source.classes.ids == (2, 5, 9, 255)
    np.testing.assert_array_equal(
        written(source, "street", "000000"), named(label, "", "road", "car", "sky")
    )


def test_coco_panoptic(tmp_path, caplog):
    root, label = coco_panoptic(tmp_path / "set")
    source = imported(root, tmp_path / "D")
    assert source.classes.ids == (0, 1, 255) and "numbered anew" in caplog.text
    assert source.classes.colors[1].tolist() == [4, 5, 6]
    np.testing.assert_array_equal(
        written(source, "set", "000000"), named(label, "unlabelled", "road", "car")
    )


def test_label_studio(tmp_path):
    root, label = label_studio(tmp_path / "set")
    expected = named(label, "unlabelled", "car", "road")
    out = tmp_path / "D"
    source = imported(root / "project.json", out, frames=root / "frames")
    assert source.sequences == ("project",) and source.label_names("project") == {"000000"}
    assert source.frame_names("project") == ("000000", "000001")
    np.testing.assert_array_equal(written(source, "project", "000000"), expected)


def test_label_studio_masks_beside_its_json(tmp_path):
    root, label = label_studio(tmp_path / "set")
    tasks = [{"id": 12, "annotation_id": 2, "image": "/data/upload/3/0a1b2c3d-000000.png"}]
    write_json(root / "project.json", tasks)
    for place, name in enumerate(("side-walk", "car"), 1):
        write(root / f"task-12-annotation-2-by-a@b.org-tag-{name}-0.png", 255 * (label == place))
    source = imported(root, tmp_path / "D")
    assert source.classes.names == ("car", "side-walk", "unlabelled")
    np.testing.assert_array_equal(
        written(source, "set", "000000"), named(label, "unlabelled", "side-walk", "car")
    )
    (root / "project.json").unlink()
    with pytest.raises(UserError, match="put its JSON export beside them"):
        import_project(root, tmp_path / "D2")


@pytest.mark.parametrize("binary", [False, True])
def test_davis(tmp_path, binary):
    root = tmp_path / "DAVIS"
    write_frames(root / "JPEGImages/480p/bear", "00000", "00001", suffix=".jpg")
    label = halves(top=255) if not binary else 255 * (halves() == 1)
    write(root / "Annotations/480p/bear/00000.png", label, None if binary else np.zeros((256, 3)))
    source = imported(root, tmp_path / "D")
    names = ("background", "object") if binary else ("background", "object 1", "object 2", "void")
    assert source.classes.names == names
    assert source.classes.ids == ((0, 1) if binary else (0, 1, 2, 255))
    found = written(source, "bear", "00000")
    assert found[3, 0] == names[1] and found[0, 0] == names[0 if binary else 3]


def test_cityscapes_with_snippets_is_converted(tmp_path):
    root = tmp_path / "cs"
    for place in range(30):
        name = f"aachen_000000_{place:06d}_leftImg8bit.png"
        write(root / "leftImg8bit_sequence/train/aachen" / name, np.zeros((*SIZE, 3)))
    stem = "aachen_000000_000019"
    write(root / f"leftImg8bit/train/aachen/{stem}_leftImg8bit.png", np.zeros((*SIZE, 3)))
    write(root / f"gtFine/train/aachen/{stem}_gtFine_labelIds.png", np.full(SIZE, 7))
    source = imported(root, tmp_path / "D")
    assert source.sequences == (f"fine_train_{stem}",)
    assert len(source.frame_names(source.sequences[0])) == 30
    zipped_source = imported(zipped(root), tmp_path / "D2")
    assert zipped_source.sequences == ("aachen",)
    assert set(written(zipped_source, "aachen", "000019").flat) == {"road"}


def test_frames_alone_and_pairs_of_folders(tmp_path):
    write_frames(tmp_path / "clip", "a1", "a2")
    said = import_project(tmp_path / "clip", tmp_path / "D")
    assert said.endswith("holds 2 frames, 0 of them with labels, from frames.")
    assert open_source(str(tmp_path / "D"), labelled=False).frame_names("clip") == ("a1", "a2")
    root = tmp_path / "pairs"
    write_frames(root / "images/v", "a1", "a2")
    write(root / "masks/v/a2.png", halves())
    with pytest.raises(UserError, match="give --classes=FILE"):
        import_project(root, tmp_path / "D2")
    content = {"classes": [{"id": i, "name": n} for i, n in enumerate(NAMES)]}
    write_json(tmp_path / "classes.json", content)
    source = imported(root, tmp_path / "D2", classes=tmp_path / "classes.json")
    assert source.label_names("v") == {"a2"}
    np.testing.assert_array_equal(source.label("v", "a2"), halves())


def test_ids_are_given_by_name(tmp_path):
    """A class "background" that the tool has added is void where nobody has asked for it."""
    content = {"classes": [{"id": 26, "name": "car"}, {"id": 7, "name": "road"},
                           {"id": 255, "name": "void", "void": True}]}  # fmt: skip
    write_json(tmp_path / "classes.json", content)
    source = imported(
        cvat_masks(tmp_path / "job"), tmp_path / "D", classes=tmp_path / "classes.json"
    )
    ids = np.array(source.classes.ids)[source.label("job", "000000")]
    np.testing.assert_array_equal(ids, np.array([255, 7, 26])[halves()])
    content["classes"].pop(0)
    write_json(tmp_path / "classes.json", content)
    with pytest.raises(UserError, match="16 pixels of 'car', the first at row 2, column 4"):
        import_project(tmp_path / "job", tmp_path / "D2", classes=tmp_path / "classes.json")


def test_the_same_import_again(tmp_path, wrp, capsys):
    job, out = cvat_masks(tmp_path / "job"), tmp_path / "D"
    assert wrp("import", str(job), str(out)) == 0
    assert "holds 2 frames, 1 of them with labels, from CVAT's" in capsys.readouterr().out
    assert wrp("import", f"--source={job}", str(out)) == 0
    assert "D is unchanged" in capsys.readouterr().out
    write(job / "SegmentationClass/000001.png", COLORS[halves(1, 1, 1)])
    assert wrp("import", str(job), "--output", str(out)) == 0
    assert "1 of 4 files are new or changed" in capsys.readouterr().out
    label = out / "job/labels/000000.png"
    Image.open(label).point(lambda v: 0).save(label)
    before = label.read_bytes()
    assert wrp("import", str(job), str(out)) == 2
    assert "were changed since they were written" in capsys.readouterr().err
    assert label.read_bytes() == before


def test_data_that_is_an_export_names_the_command(tmp_path):
    job = cvat_masks(tmp_path / "job")
    for path in (job, zipped(job)):
        with pytest.raises(
            UserError, match=rf"run 'wrp import {path} D', then give D in its place\.$"
        ):
            open_source(str(path))


def spoil_color(root):
    pixels = COLORS[halves()]
    pixels[2, 3] = (1, 2, 3)
    write(root / "SegmentationClass/000000.png", pixels)


def spoil_map(root):
    (root / "labelmap.txt").write_text("road:1,2::\n")


def spoil_frame(root):
    (root / "JPEGImages/000000.png").unlink()


def spoil_size(root):
    write(root / "SegmentationClass/000000.png", COLORS[halves()[:-1]])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_color, r"000000.png has the colour \[1, 2, 3\] at row 2, column 3"),
        (spoil_map, "labelmap.txt:1: 'road:1,2::' is no"),
        (spoil_frame, "000000.png is a label of 000000, a frame that is not there .*--frames"),
        (spoil_size, "000000.png is .*but its frame is 8x6"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, spoil, says):
    job = cvat_masks(tmp_path / "job")
    spoil(job)
    for source in (job, zipped(job)):
        with pytest.raises(UserError, match=says) as refused:
            import_project(source, tmp_path / "D")
        assert "\n" not in str(refused.value)
        assert not list(tmp_path.glob("D/*/labels/*"))


HOSTILE_XML = {
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]>', "", "declares types or entities"),
    "cut": ("", "<image", "is no XML or is cut off"),
    "size": ("", '<image name="a.png" width="9999999" height="9999999"/>', "is none: export"),
    "label": ("", '<image name="000001.png" width="8" height="6"><polygon label="tree" points='
              '"0,0;1,1;2,0"/></image>', "'tree', which is none of the labels"),
    "runs": ("", '<image name="000001.png" width="8" height="6"><mask label="car" rle="1,2" '
             'left="0" top="0" width="2" height="2"/></image>', "do not add up to 4"),
    "place": ("", '<image name="000001.png" width="8" height="6"><mask label="car" rle="4" '
              'left="7" top="0" width="2" height="2"/></image>', "reaches beyond the frame"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE_XML)
def test_broken_xml_is_told(tmp_path, kind):
    root, _ = cvat_xml(tmp_path / "job")
    head, added, says = HOSTILE_XML[kind]
    text = (root / "annotations.xml").read_text()
    text = text.replace("<annotations>", f"{head}<annotations>")
    (root / "annotations.xml").write_text(text.replace("</annotations>", f"{added}</annotations>"))
    with pytest.raises(UserError, match=says):
        import_project(root, tmp_path / "D")


def test_broken_entries_name_their_place(tmp_path):
    root, _ = coco_instances(tmp_path / "set")
    path = root / "annotations/instances_default.json"
    content = json.loads(path.read_text())
    for key, value, says in (
        ("segmentation", {"size": [6, 8], "counts": [3, 4]}, "annotation 1: .*add up to 48"),
        ("segmentation", {"size": [6, 8], "counts": "0`"}, "annotation 1: .*cut off"),
        ("category_id", 77, "annotation 1: .*77"),
        ("segmentation", {"size": [6, 8], "counts": [2**63 - 1, 2**63 - 1, 50]}, "add up to 48"),
        ("segmentation", {"size": [6, 8], "counts": [2**70]}, "longer than any picture"),
        ("segmentation", [[1, 2, 3, 4]], "needs three corners"),
        ("segmentation", {"counts": "0"}, "annotation 1: .*size"),
    ):
        spoilt = json.loads(json.dumps(content))
        spoilt["annotations"][1][key] = value
        write_json(path, spoilt)
        with pytest.raises(UserError, match=f"instances_default.json .frame street.*{says}"):
            import_project(root, tmp_path / "D")
