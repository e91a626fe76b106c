"""KITTI's semantic segmentation of 2015: 200 labelled frames, Cityscapes' classes.

``training/semantic/<scene>_10.png`` beside ``training/image_2/<scene>_10.png``
(``data_semantics.zip``) and, where the multi-view extension of the scene flow benchmark is there
too (``data_scene_flow_multiview.zip``), the frames ``<scene>_00.png`` to ``<scene>_20.png`` around
them. The archives may be unpacked into one place or beside each other, each in a folder of its own
(``data_semantics/training``); they share the labelled frames. A sequence is a scene; of scenes
without a label nothing is taken. ``testing`` has no labels.

Reference: Alhaija et al., IJCV 2018; Menze and Geiger, CVPR 2015. Ids as in Cityscapes
(https://www.cvlibs.net/datasets/kitti/eval_semseg.php).
"""

from __future__ import annotations

import re
from pathlib import Path

from wrp_jax.data.public_sets.cityscapes import cityscapes_classes, cityscapes_ids
from wrp_jax.data.public_sets.public_set import Picture, PublicSet, frame_of, labelled
from wrp_jax.types import UserError

_NAME = re.compile(r"(\d{6})_\d{2}")


def read_kitti(data: Path) -> PublicSet:
    """Finds the labelled scenes of KITTI.

    Args:
      data: holds ``training``, or folders that do.

    Raises:
      UserError: there is no label, or one without its frame.
    """
    folders = [f for f in (data / "training", *sorted(data.glob("*/training"))) if f.is_dir()]
    frames, labels = (_named(folders, kind) for kind in ("image_2", "semantic"))
    if not labels:
        raise UserError(
            f"{data} holds no training/semantic/000000_10.png and so on, nor data_semantics with "
            "the same: unpack KITTI's data_semantics.zip there."
        )
    for name, label in labels.items():
        beside = label.parents[1] / "image_2" / label.name
        if name not in frames or beside.is_file():
            frames[name] = frame_of(label, beside, "image_2 of data_semantics.zip")
    scenes = {name[:6] for name in labels}
    pictures = tuple(
        Picture(name[:6], name, frames[name], labels.get(name))
        for name in sorted(frames)
        if name[:6] in scenes
    )
    return PublicSet(
        cityscapes_classes(), cityscapes_ids(), pictures, {"train": labelled(pictures)}
    )


def _named(folders: list[Path], kind: str) -> dict[str, Path]:
    """Files by name; of files with the same name, that of the first folder."""
    return {
        path.stem: path
        for folder in reversed(folders)
        for path in sorted((folder / kind).glob("*.png"))
        if _NAME.fullmatch(path.stem)
    }
