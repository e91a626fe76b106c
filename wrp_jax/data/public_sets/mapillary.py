"""Mapillary Vistas: street pictures of the whole world, each by itself.

``training`` and ``validation`` with ``images/<key>.jpg`` and ``v1.2/labels/<key>.png`` (or, as v1.2
was first released, ``labels/<key>.png``) or ``v2.0/labels/<key>.png``, beside ``config_v1.2.json``
(``config.json``) or ``config_v2.0.json``. Classes are read from that file: the id of a class is
its place there, and what is not evaluated is void. Pictures have no video around them; the two
sequences, ``training`` and ``validation``, are for ``--stills``. ``testing`` has no labels.

Reference: Neuhold et al., ICCV 2017.
"""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data import label_maps
from wrp_jax.data.public_sets.public_set import Picture, PublicSet, check_frames, labelled
from wrp_jax.files.regular import read_bytes
from wrp_jax.files.strict_json import MAX_BYTES, parse_json
from wrp_jax.types import ClassMap, UserError

_CONFIGS = {"v1.2": ("config_v1.2.json", "config.json"), "v2.0": ("config_v2.0.json",)}
_LABELS = {"v1.2": ("v1.2/labels", "labels"), "v2.0": ("v2.0/labels",)}


def read_mapillary(data: Path, version: str) -> PublicSet:
    """Finds the labels of one version of Mapillary Vistas and their frames.

    Args:
      data: holds ``training``, ``validation`` or both, and the set's own list of classes.
      version: of the labels, ``v1.2`` or ``v2.0``.

    Raises:
      UserError: no label, one without its frame, or no list of classes that makes sense.
    """
    config = next((data / c for c in _CONFIGS[version] if (data / c).is_file()), None)
    if config is None:
        raise UserError(
            f"{data} holds no {' nor '.join(_CONFIGS[version])}, which names the classes: unpack "
            f"Mapillary Vistas {version} there."
        )
    classes = _read_classes(config)
    pictures = [p for split in ("training", "validation") for p in _pictures(data, split, version)]
    if not pictures:
        raise UserError(
            f"{data} holds no training/{_LABELS[version][0]}/*.png: unpack the labels of Mapillary "
            f"Vistas {version} there."
        )
    stills = labelled(pictures)
    splits = dict.fromkeys(sequence for sequence, _ in stills)
    lists = {split: tuple(row for row in stills if row[0] == split) for split in splits}
    return PublicSet(classes, {i: i for i in classes.ids}, tuple(pictures), lists)


def _pictures(data: Path, split: str, version: str) -> list[Picture]:
    """The labelled pictures of a split, sorted."""
    folders = (data / split / folder for folder in _LABELS[version])
    folder = next((f for f in folders if f.is_dir()), None)
    frames = {
        label: data / split / "images" / f"{label.stem}.jpg"
        for label in (sorted(folder.glob("*.png")) if folder else ())
    }
    check_frames(frames, f"{split}/images")
    return [Picture(split, label.stem, frame, label) for label, frame in frames.items()]


def _read_classes(path: Path) -> ClassMap:
    text = read_bytes(path, MAX_BYTES)
    try:
        labels = parse_json(text)["labels"]
        entries = [
            {"id": i, "name": x["name"], "color": x["color"], "void": not x["evaluate"]}
            for i, x in enumerate(labels)
        ]
    except (ValueError, LookupError, TypeError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(
            f"{path} is no list of classes of Mapillary Vistas ({reason}): unpack it again."
        ) from error
    return label_maps.parse_classes({"classes": entries}, str(path))
