"""KITTI's semantic segmentation of 2015: 200 labelled frames, Cityscapes' classes.

``training/semantic/<scene>_10.png`` beside ``training/image_2/<scene>_10.png``
(``data_semantics.zip``) and, where the multi-view extension of the scene flow benchmark is there
too (``data_scene_flow_multiview.zip``), the frames ``<scene>_00.png`` to ``<scene>_20.png`` around
them. The archives may be unpacked into one place or beside each other, each in a folder of its own
(``data_semantics/training``); they share the labelled frames. A sequence is a scene; of scenes
without a label nothing is taken. ``train_windows`` lists the scenes with all 21 frames; for
four-fold cross-validation ``fold0_val`` lists every fourth scene, ``fold0_train`` and
``fold0_train_windows`` the others, and so on to ``fold3``. ``testing`` has no labels.

Reference: Alhaija et al., IJCV 2018; Menze and Geiger, CVPR 2015. Ids as in Cityscapes
(https://www.cvlibs.net/datasets/kitti/eval_semseg.php).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from wrp_jax.data.public_sets.cityscapes import cityscapes_classes, cityscapes_ids
from wrp_jax.data.public_sets.public_set import Picture, PublicSet, check_frames, labelled
from wrp_jax.types import UserError

_NAME = re.compile(r"(\d{6})_\d{2}")

_FRAMES = 21
"""Frames of a scene in the multi-view extension; the 11th is labelled."""

_FOLDS = 4
"""Of cross-validation: Ganeshan et al., ICCV 2021, section 4.5."""

_SCENE_FLOW = 2
"""Frames of a scene in the scene flow benchmark itself, ``_10`` and ``_11``."""


def read_kitti(data: Path) -> PublicSet:
    """Finds the labelled scenes of KITTI.

    Args:
      data: holds ``training``, or folders that do.

    Raises:
      UserError: there is no label, one without its frame, or scenes that lack frames.
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
            frames[name] = beside
    check_frames(
        {label: frames[name] for name, label in labels.items()}, "image_2 of data_semantics.zip"
    )
    scenes = {name[:6] for name in labels}
    windows = _windows(scenes, frames)
    pictures = tuple(
        Picture(name[:6], name, frames[name], labels.get(name))
        for name in sorted(frames)
        if name[:6] in scenes
    )
    lists: dict[str, tuple[tuple[str, ...], ...]] = {"train": labelled(pictures)}
    if windows:
        lists["train_windows"] = windows
    return PublicSet(cityscapes_classes(), cityscapes_ids(), pictures, lists | _folds(lists))


def _folds(
    lists: Mapping[str, tuple[tuple[str, ...], ...]],
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The lists of cross-validation; none where there are too few scenes."""
    scenes = [row[0] for row in lists["train"]]
    folds: dict[str, tuple[tuple[str, ...], ...]] = {}
    for fold in range(_FOLDS if len(scenes) >= _FOLDS else 0):
        val = set(scenes[fold::_FOLDS])
        folds[f"fold{fold}_val"] = tuple(row for row in lists["train"] if row[0] in val)
        for title, rows in lists.items():
            kept = tuple(row for row in rows if row[0] not in val)
            if kept:
                folds[f"fold{fold}_{title}"] = kept
    return folds


def _windows(
    scenes: Collection[str], frames: Mapping[str, Path]
) -> tuple[tuple[str, str, str, str], ...]:
    """All 21 frames of each scene that has them around its labelled one.

    Raises:
      UserError: scenes lack some of theirs: the first that is missing, and how many.
    """
    missing: list[str] = []
    torn, whole = 0, []
    for scene in sorted(scenes):
        names = [f"{scene}_{step:02d}" for step in range(_FRAMES)]
        there = [name for name in names if name in frames]
        if len(there) == _FRAMES:
            whole.append((scene, f"{scene}_10", names[0], names[-1]))
        elif len(there) > _SCENE_FLOW:
            missing += [name for name in names if name not in frames]
            torn += 1
    if missing:
        raise UserError(
            f"image_2 lacks {len(missing)} frames around labelled ones, {_FRAMES} to a scene, in "
            f"{torn} of {len(scenes)} scenes, the first is {missing[0]}.png: unpack "
            "data_scene_flow_multiview.zip again."
        )
    return tuple(whole)


def _named(folders: list[Path], kind: str) -> dict[str, Path]:
    """Files by name; of files with the same name, that of the first folder."""
    return {
        path.stem: path
        for folder in reversed(folders)
        for path in sorted((folder / kind).glob("*.png"))
        if _NAME.fullmatch(path.stem)
    }
