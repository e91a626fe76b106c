"""Clips from a prepared TFDS data set, without TensorFlow and without the builder's code.

Pictures come out of TFDS as bytes and are decoded in ``images``: left to itself, TFDS decodes
with OpenCV where that is installed and with Pillow where not, with different results.
"""

from __future__ import annotations

import collections
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int32, UInt8
from tensorflow_datasets.core.constants import DATA_DIR

from wrp_jax.data import images, label_maps, label_pictures
from wrp_jax.data.flow_sets.builders import SET_FEATURES
from wrp_jax.data.flow_sets.stored import FlowSetSource
from wrp_jax.data.frame_names import natural_key
from wrp_jax.data.source import TableOfFrames
from wrp_jax.types import ClassMap, UserError

CACHE_BYTES = 64 * 2**20
"""Encoded clips kept in memory, per source and process; the last one read always is."""

_FEATURES = frozenset({"sequence", "start", "frame_names", "frames", "labels"})
_SPEC = re.compile(r"tfds:(?P<name>[^:@]+):(?P<split>\w+(\[[^\]]*\])?)(@(?P<dir>.+))?")


class _Clip(NamedTuple):
    """Where an element lies and what is in it."""

    position: int
    start: int
    frames: Sequence[str]
    labels: Sequence[str]


class _KeepBytes(tfds.decode.SkipDecoding):
    """SkipDecoding, for sequences too."""

    def decode_batch_example_np(self, serialized_example):
        return serialized_example


class TfdsSource(TableOfFrames):
    """A ``VideoSource`` over the clips of one split; ``open_tfds`` makes one."""

    def __init__(
        self,
        name: str,
        classes: ClassMap,
        data: Any,
        clips: Mapping[str, Sequence[_Clip]],
        shards: Sequence[Path] = (),
    ):
        """Holds an opened split.

        Args:
          name: what to call it.
          classes: the class map.
          data: TFDS data source that leaves pictures as bytes.
          clips: per sequence its elements, in order.
          shards: the files of the split.
        """
        self._shards = tuple(shards)
        self._name, self._classes, self._data = name, classes, data
        self._frames: dict[str, dict[str, tuple[int, int]]] = {}
        self._labels: dict[str, dict[str, tuple[int, int]]] = {}
        for sequence in sorted(clips, key=natural_key):
            ordered = clips[sequence]
            self._frames[sequence] = {
                f: (c.position, i) for c in ordered for i, f in enumerate(c.frames)
            }
            self._labels[sequence] = {
                f: (c.position, i) for c in ordered for i, f in enumerate(c.labels)
            }
        self._cache: collections.OrderedDict[int, tuple[int, dict]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache, self._lock = collections.OrderedDict(), threading.Lock()

    @property
    def name(self) -> str:
        """The specification it was opened with."""
        return self._name

    @property
    def classes(self) -> ClassMap:
        """From the data set's metadata."""
        return self._classes

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """Decodes a frame, RGB 0 … 255; UserError if the record is broken."""
        return images.decode_frame(self._frame(sequence, name), self._where(sequence, name))

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """Decodes a label into class indices; UserError if it is none or has a wrong size."""
        where = self._where(sequence, name)
        position, i = self._labels[sequence][name]
        data = bytes(self._element(position)["labels"]["label"][i])
        label = label_pictures.read_label(data, self.classes, where)
        if label.shape != self.frame_size(sequence, name):
            raise UserError(f"{where}: the label has another size than the frame.")
        return label

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of a frame, from its header."""
        return images.frame_size(self._frame(sequence, name), self._where(sequence, name))

    def frame_bytes(self, sequence: str, name: str) -> bytes:
        """A frame as PNG or JPEG bytes."""
        return images.plain_bytes(self._frame(sequence, name), self._where(sequence, name))

    def origin(self, kind: str, sequence: str, name: str) -> tuple[tuple[Path, ...], str]:
        """The shards of the split and the place in them, see ``source_digests``."""
        place = (self._labels if kind == "labels" else self._frames)[sequence][name]
        return self._shards, f"{kind} {place}"

    def _where(self, sequence: str, name: str) -> str:
        return f"{self.name}, sequence {sequence}, frame {name}"

    def _frame(self, sequence: str, name: str) -> bytes:
        position, i = self._frames[sequence][name]
        return bytes(self._element(position)["frames"][i])

    def _element(self, position: int) -> dict:
        with self._lock:
            if position not in self._cache:
                element = _read(self._data, position, self.name)
                size = sum(map(len, element["frames"])) + sum(map(len, element["labels"]["label"]))
                held = sum(kept for kept, _ in self._cache.values())
                while self._cache and held + size > CACHE_BYTES:
                    held -= self._cache.popitem(last=False)[1][0]
                self._cache[position] = size, element
            self._cache.move_to_end(position)
            return self._cache[position][1]


def open_tfds(spec: str) -> TfdsSource | FlowSetSource:
    """Opens a prepared data set, of clips or of pairs with true flow.

    Args:
      spec: ``tfds:NAME/CONFIG:SPLIT``, optionally ``@DATA_DIR``. CONFIG may be missing, and a
        version may follow; DATA_DIR may be the version's own directory. SPLIT may be a part
        like ``train[:50%]``, which is then read once to learn the names in it.

    Raises:
      UserError: the specification is none, the data set is not there or not prepared in
        array_record, has no such split, was not written by a builder of clips, or is damaged.
    """
    found = _SPEC.fullmatch(spec)
    if not found:
        raise UserError(
            f"{spec} must be tfds:NAME/CONFIG:SPLIT or tfds:NAME/CONFIG:SPLIT@DATA_DIR."
        )
    split = found["split"]
    directory = _find(found["name"], Path(found["dir"] or DATA_DIR), spec)
    keep: dict[str, Any]
    try:
        builder: Any = tfds.builder_from_directory(directory)
        features = builder.info.features or {}
        if set(features) >= SET_FEATURES:
            if split.partition("[")[0] not in builder.info.splits:
                raise _no_split(spec, split, builder.info.splits)
            keep = {name: _KeepBytes() for name in ("first", "second", "flow", "valid")}
            return FlowSetSource(spec, builder.as_data_source(split=split, decoders=keep))
        if _FEATURES - set(features):
            raise UserError(
                f"{spec}: {directory} holds no video clips of this project; convert your data to "
                "a folder and run wrp build."
            )
        metadata = builder.info.metadata or {}
        classes = label_maps.parse_classes(metadata.get("classes"), f"{directory}/metadata.json")
        if split.partition("[")[0] not in builder.info.splits:
            raise _no_split(spec, split, builder.info.splits)
        # TFDS unpacks nothing: not for nothing (flow, say), nor to any length that a file says.
        keep = {name: _KeepBytes() for name in (*features, *_FEATURES) if name != "labels"}
        keep["labels"] = {name: _KeepBytes() for name in ("name", "label")}
        data = builder.as_data_source(split=split, decoders=keep)
        entries = metadata.get("clips", {}).get(split)
        if entries is None or len(entries) != len(data):
            entries = [_names(_read(data, i, spec)) for i in range(len(data))]
    except UserError:
        raise
    except Exception as error:  # missing shards, broken JSON: TFDS raises whatever it meets
        reason = (str(error) or repr(error)).splitlines()[0]
        other = "give another part of the split, or " if "[" in split else ""
        raise UserError(
            f"{spec} cannot be opened in {directory} ({reason}): {other}build it again."
        ) from error
    shards = sorted(directory.glob(f"*-{split.partition('[')[0]}.array_record*"))
    return TfdsSource(spec, classes, data, _clips(entries, spec), shards)


def _no_split(spec: str, split: str, splits: Iterable[str]) -> UserError:
    return UserError(f"{spec}: there is no split {split}, only {', '.join(splits)}.")


def _clips(entries: Sequence[Mapping[str, Any]], spec: str) -> dict[str, list[_Clip]]:
    clips: dict[str, list[_Clip]] = collections.defaultdict(list)
    for position, entry in enumerate(entries):
        clips[entry["sequence"]].append(
            _Clip(position, entry["start"], entry["frames"], entry["labels"])
        )
    if not clips:
        raise UserError(f"{spec} holds no clips: build it again.")
    for sequence, parts in clips.items():
        parts.sort(key=lambda clip: clip.start)
        names = [name for clip in parts for name in clip.frames]
        if len(set(names)) != len(names):
            raise UserError(f"{spec}: frames of sequence {sequence} occur twice.")
    return clips


def _names(element: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sequence": _text(element["sequence"]),
        "start": int(element["start"]),
        "frames": [_text(name) for name in element["frame_names"]],
        "labels": [_text(name) for name in element["labels"]["name"]],
    }


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _read(data: Any, position: int, spec: str) -> dict:
    try:
        element = data[position]
        found = {name: element[name] for name in _FEATURES}
        # A record that cannot be parsed comes without its parts.
        if any(part is None for part in (*found.values(), *found["labels"].values())):
            raise ValueError("parts of it are missing")
        return found
    except Exception as error:  # hash mismatches, cut files: array_record raises several types
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"{spec}: record {position} is damaged ({reason}): build it again."
        ) from error


def _find(name: str, data_dir: Path, spec: str) -> Path:
    """The directory of the newest version."""
    data_dir = data_dir.expanduser()
    for directory in (data_dir, data_dir / name):
        if (directory / "dataset_info.json").is_file():
            return directory
    versions = [path.parent for path in (data_dir / name).glob("*/dataset_info.json")]
    numbered = [path for path in versions if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    if not numbered:
        raise UserError(
            f"{spec}: there is no prepared data set in {data_dir / name}; build it with "
            "wrp build, or give @DATA_DIR."
        )
    return max(numbered, key=lambda path: tuple(map(int, path.name.split("."))))
