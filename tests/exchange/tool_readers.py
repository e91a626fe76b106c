"""Reads exports with the tools' own readers, and writes what they write; a program of its own.

It runs in an environment with Datumaro, pycocotools and label-studio-sdk (see CONTRIBUTING.md), and
imports nothing of this project.

  python tests/exchange/tool_readers.py read FOLDER OUT.npz
  python tests/exchange/tool_readers.py write LABELS.npz FOLDER

FOLDER holds an export in a folder of the name of each format. An array of OUT is called
``<reader> <sequence>/<frame>`` and holds the names of the classes, "" where nothing is; it is
empty where the frame has no label.
"""

import json
import pathlib
import sys
import warnings

import datumaro
import numpy as np
from label_studio_sdk.converter import brush
from PIL import Image
from pycocotools.coco import COCO

BY_DATUMARO = {
    "voc": "voc_segmentation",
    "cvat": "voc_segmentation",
    "coco-panoptic": "coco_panoptic",
    "coco-stuff": "coco",
    "cityscapes": "cityscapes",
}
NO_LABEL = np.empty(0, "U40")


def read(folder, out):
    found = {}
    for to, name in BY_DATUMARO.items():
        dataset = datumaro.Dataset.import_from(str(folder / to), name)
        labels = dataset.categories()[datumaro.AnnotationType.label]
        for item in dataset:
            assert item.media is not None and item.media.data is not None, f"{to}: no frame"
            masks = [a for a in item.annotations if a.type == datumaro.AnnotationType.mask]
            if not item.annotations:
                found[f"datumaro:{to} {item.id}"] = NO_LABEL
                continue
            canvas = np.full(item.media.size, "", "U40")
            for mask in masks:
                canvas[mask.image.astype(bool)] = labels[mask.label].name
            found[f"datumaro:{to} {item.id}"] = canvas
    coco = COCO(folder / "coco-stuff/annotations/stuff_default.json")
    for number, image in coco.imgs.items():
        if not coco.getAnnIds(number):
            found[f"pycocotools:coco-stuff {image['file_name'].rpartition('.')[0]}"] = NO_LABEL
            continue
        canvas = np.full((image["height"], image["width"]), "", "U40")
        for annotation in coco.loadAnns(coco.getAnnIds(number)):
            mask = coco.annToMask(annotation).astype(bool)
            assert mask.sum() == annotation["area"]
            canvas[mask] = coco.cats[annotation["category_id"]]["name"]
        found[f"pycocotools:coco-stuff {image['file_name'].rpartition('.')[0]}"] = canvas
    for task in json.loads((folder / "label-studio/tasks.json").read_text()):
        path = task["data"]["image"].rpartition("images/")[2].rpartition(".")[0]
        if not task["annotations"]:
            found[f"label-studio-sdk:label-studio {path}"] = NO_LABEL
            continue
        results = task["annotations"][0]["result"]
        height, width = (results[0][f"original_{k}"] for k in ("height", "width"))
        canvas = np.full((height, width), "", "U40")
        for result in results:
            value = result["value"]
            alpha = brush.decode_rle(value["rle"]).reshape(height, width, 4)[..., 3]
            canvas[alpha > 0] = value["brushlabels"][0]
        found[f"label-studio-sdk:label-studio {path}"] = canvas
    np.savez(out, **{name.replace("/", "|"): array for name, array in found.items()})


def write(labels, folder):
    """Datumaro's exports of masks, and a project of Label Studio with brushes by its SDK.

    Empty arrays are frames without a label.
    """
    arrays = np.load(labels)
    names = [str(name) for name in arrays["names"]]
    items, tasks = [], []
    for number, key in enumerate(sorted(set(arrays.files) - {"names"})):
        label = arrays[key]
        has_label = label.size > 0
        label = label if has_label else np.zeros((7, 10), int)
        pixels = np.full((*label.shape, 3), 40 * number, np.uint8)
        masks = [
            datumaro.Mask(label == i, label=i, id=i + 1, group=i + 1)
            for i in np.unique(label)
            if has_label
        ]
        media = datumaro.Image.from_numpy(data=pixels)
        items.append(datumaro.DatasetItem(key, annotations=masks, media=media, subset="default"))
        path = folder / "label-studio" / "images" / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        results = [
            {"type": "brushlabels", "original_width": label.shape[1],
             "original_height": label.shape[0],
             "value": {"format": "rle", "brushlabels": [names[i]],
                       "rle": brush.mask2rle((255 * (label == i)).astype(np.uint8))}}
            for i in np.unique(label) if has_label
        ]  # fmt: skip
        tasks.append(
            {"id": number, "data": {"image": f"/data/upload/1/0123abcd-{key}.png"},
             "annotations": [{"id": number, "result": results}] if has_label else []}
        )  # fmt: skip
    (folder / "label-studio" / "project.json").write_text(json.dumps(tasks))
    dataset = datumaro.Dataset.from_iterable(items, categories=names, media_type=datumaro.Image)
    for name in ("voc_segmentation", "coco_panoptic", "coco_instances"):
        dataset.export(str(folder / name), name, save_media=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"read": read, "write": write}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
