"""Exports that are broken or made to harm: one sentence, and no label that is lost or invented."""

import json
import shutil
import tracemalloc
import zipfile

import pytest
from test_import import (
    category,
    coco_instances,
    coco_panoptic,
    cvat_masks,
    cvat_xml,
    label_studio,
)

from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.data.tool_formats.tree import open_tree
from wrp_jax.types import UserError


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def twice(content):
    """A second entry of the same frame, whose label would take the place of the first one's."""
    content["images"].append({**content["images"][0], "id": 55})
    content["annotations"].append({**content["annotations"][0], "image_id": 55})


COCO = {
    "two of one id": (lambda c: c["images"][1].update(id=7), "two images have the id 7"),
    "two of one name": (twice, "are both labels of frame street/000000: move"),
    "no name": (lambda c: c["images"][1].update(file_name="/"), "an image has the name '/'"),
    "unknown images": (
        lambda c: [a.update(image_id=i) for a, i in zip(c["annotations"], (99, "z"), strict=False)],
        "annotations of an image 'z' that it lacks",
    ),
    "one name for two classes": (
        lambda c: c["categories"].append(category(11, "road ")),
        "the name 'road' is used by more than one class",
    ),
    "a class without a name": (
        lambda c: c["categories"][0].update(name=" "),
        "the class with id 2 needs a name in one line",
    ),
    "runs": (
        lambda c: c["annotations"][1]["segmentation"].update(counts=[0.9, 48.9]),
        "its runs are no whole numbers",
    ),
    "far": (
        lambda c: c["annotations"][0].update(segmentation=[[1e308, -1e308, -1e308, 1e308, 0, 1]]),
        "a corner that is far from any picture",
    ),
}


@pytest.mark.parametrize("kind", COCO)
def test_coco(tmp_path, kind):
    root, _ = coco_instances(tmp_path / "set")
    change, says = COCO[kind]
    changed(root / "annotations/instances_default.json", change)
    with pytest.raises(UserError, match=says):
        import_project(root, tmp_path / "D")
    assert not list(tmp_path.glob("D/*/labels/*"))


def test_coco_of_two_files_with_the_same_frames(tmp_path):
    """As of COCO itself: key points name persons alone, and would replace all other classes."""
    root, _ = coco_instances(tmp_path / "set")
    path = root / "annotations/instances_default.json"
    shutil.copy(path, root / "annotations/person_keypoints_default.json")
    with pytest.raises(UserError, match=r"instances_default.*person_keypoints_default.*move one"):
        import_project(root, tmp_path / "D")


def test_coco_panoptic_without_a_picture_name(tmp_path):
    root, _ = coco_panoptic(tmp_path / "set")
    changed(root / "panoptic_val.json", lambda c: c["annotations"][0].update(file_name=""))
    with pytest.raises(UserError, match="put the folder of panoptic PNG beside"):
        import_project(root, tmp_path / "D")


SHAPE = '<polygon label="car" points="0,0;4,0;4,4"/>'
XML = {
    "twice": (
        "</annotations>",
        f'<image name="000000.jpg" width="8" height="6">{SHAPE}</image></annotations>',
        "shapes of two frames 000000: import the tasks",
    ),
    "no name": ('name="000001.png"', 'name="/"', "image '/' of 8x6 is none"),
    "far": ('points="3.00,2.00', 'points="1e308,-1e308', "far from any picture"),
    "size": (
        "<meta>",
        '<track label="car"/><meta><original_size><height>²</height></original_size>',
        "original_size .* is none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", XML)
def test_cvat_xml(tmp_path, kind):
    root, _ = cvat_xml(tmp_path / "job")
    before, after, says = XML[kind]
    text = (root / "annotations.xml").read_text()
    assert before in text
    (root / "annotations.xml").write_text(text.replace(before, after))
    with pytest.raises(UserError, match=says):
        import_project(root, tmp_path / "D")


def test_cvat_frames_of_one_name_in_two_subsets(tmp_path):
    root, _ = cvat_xml(tmp_path / "job")
    for subset in ("train", "val"):
        (root / "images" / subset).mkdir()
        shutil.copy(root / "images/000000.png", root / "images" / subset)
    (root / "images/000000.png").unlink()
    with pytest.raises(UserError, match=r"train/000000.png and .*val/000000.png are both frame"):
        import_project(root, tmp_path / "D")


def test_xml_that_hides_entities_in_utf_16(tmp_path):
    root, _ = cvat_xml(tmp_path / "job")
    path = root / "annotations.xml"
    text = path.read_text().replace("utf-8", "utf-16").replace("<name>road", "<name>&b;")
    text = text.replace("<annotations>", '<!DOCTYPE a [<!ENTITY b "road">]><annotations>')
    seen = b"<annotations ".ljust(14).decode("utf-16-le")  # by which it is taken for CVAT's
    path.write_bytes(text.replace("?>", f"?><!--{seen}-->", 1).encode("utf-16"))
    with pytest.raises(UserError, match="is no XML in UTF-8"):
        import_project(root, tmp_path / "D")


def test_label_studio_with_an_entry_that_is_no_task(tmp_path):
    root, _ = label_studio(tmp_path / "set")
    changed(root / "project.json", lambda c: c.append(3))
    with pytest.raises(UserError, match="entry 2 of its list is no task"):
        import_project(root / "project.json", tmp_path / "D", frames=root / "frames")


@pytest.mark.parametrize("value", ["²", "9" * 5000])
def test_label_map(tmp_path, value):
    job = cvat_masks(tmp_path / "job")
    (job / "labelmap.txt").write_text(f"road:{value},1,2::\n")
    with pytest.raises(UserError, match=r"labelmap.txt:1: .* is no 'name:red"):
        import_project(job, tmp_path / "D")


@pytest.mark.parametrize("name", ["a/" * 20_000 + "x.png", f"task-{'1' * 5000}.png"])
def test_an_archive_of_endless_names(tmp_path, name):
    """Each folder of the first one would be looked at as the root of an export: 51 s."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match="a path too long or deep"):
        import_project(tmp_path / "a.zip", tmp_path / "D")


def test_a_frame_of_many_masks_takes_the_memory_of_few(tmp_path):
    root, _ = coco_instances(tmp_path / "set")
    height = width = 600

    def many(content):
        content["images"][0].update(height=height, width=width)
        content["annotations"] = [
            {**content["annotations"][0], "segmentation": [[i, 0, i + 5, 0, i + 5, 500]]}
            for i in range(60)
        ]

    changed(root / "annotations/instances_default.json", many)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"is .*but its frame is 8x6"):
            import_project(root, tmp_path / "D")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * height * width


def test_an_archive_that_is_overwritten_while_it_is_read(tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"x" * 99)
    with open_tree(path) as tree:
        path.write_bytes(bytes(len(path.read_bytes()) + 1))
        with pytest.raises(UserError, match=r"export\.zip was changed while it was read: run the"):
            tree.read("a.txt")
