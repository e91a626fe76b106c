"""Propagated labels as a TFDS data set in array_record, readable without this package.

One element is one frame: ``image``, ``label`` (pixel value = id, 255 = nothing known),
``confidence`` (255 = certain), ``sequence``, ``frame``, ``key`` (the labelled frame it comes
from), ``offset`` (frames after the labelled frame, negative before it), ``distance``
(``|offset|``), ``is_keyframe``, and what is expected of the frame's labels, as ``quality.csv`` has
it, in %: ``miou``, ``miou_low``, ``miou_high`` and ``doubtful``; NaN where nothing is estimated.
Read with ``tfds.builder_from_directory(DIR).as_data_source("train")``.

The shards are written here and registered at the end: a TFDS generator that is killed starts
from nothing. Number and contents of the shards follow from the list of frames alone, a shard
that is there with a valid record of its hash is kept, and equal inputs give equal bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from wrp_jax import interrupts
from wrp_jax.data import images, label_maps
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.source import VideoSource
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.tfds import clips
from wrp_jax.files.atomic import replacing, write_atomically
from wrp_jax.files.lock import TEMPORARY, check_place
from wrp_jax.files.regular import read_bytes, sha256
from wrp_jax.files.strict_json import read_json
from wrp_jax.machine import cannot_write
from wrp_jax.types import ClassMap, UserError

DATASET = "propagated"
SPLIT = "train"
VERSION = "1.1.0"
_QUALITY = ("miou", "miou_low", "miou_high", "doubtful")
SHARD_EXAMPLES = 64
"""Frames per shard; ArrayRecord pads small shards."""


@dataclasses.dataclass(frozen=True)
class ExportRow:
    """One element to be.

    Attributes:
      sequence, frame: which frame.
      key: the labelled frame that its label comes from.
      offset: frames after the labelled frame.
      miou, miou_low, miou_high: estimated mean IoU and its interval, in %; NaN: not estimated.
      doubtful: share of the pixels that are expected to be wrong, in %; NaN: not estimated.
    """

    sequence: str
    frame: str
    key: str
    offset: int
    miou: float = math.nan
    miou_low: float = math.nan
    miou_high: float = math.nan
    doubtful: float = math.nan


def export_tfds(
    directory: Path,
    source: VideoSource,
    rows: Sequence[ExportRow],
    writer: LabelWriter,
    digests: SourceDigests | None = None,
) -> None:
    """Writes the data set from the pictures that ``writer`` has written.

    Args:
      directory: where to; holds this data set and nothing else.
      source: where the frames are.
      rows: the elements, in order.
      writer: knows where the labels and confidences lie; each must be done.
      digests: of the frames, where they are remembered.

    Raises:
      UserError: a frame, label or confidence cannot be read, or the directory not written.
      MachineError: the disk is full.
    """
    if not rows:
        raise UserError(f"{directory}: there are no frames to export.")
    features = _features(source.classes)
    digests = digests or SourceDigests(source)
    parts = [rows[i : i + SHARD_EXAMPLES] for i in range(0, len(rows), SHARD_EXAMPLES)]
    try:
        shards = [_shard_name(k, len(parts)) for k in range(len(parts))]
        check_place(directory / shards[0])
        directory.mkdir(parents=True, exist_ok=True)
        _remove_others(directory, shards)
        records = [
            _write_shard(directory / shard, features, source, part, writer, digests)
            for shard, part in zip(shards, parts, strict=True)
        ]
        _register(directory, features, source.classes, records)
    except OSError as error:
        raise cannot_write(directory, error) from error


def _features(classes: ClassMap) -> tfds.features.FeaturesDict:
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": clips.label_feature(classes),
            "confidence": tfds.features.Image(shape=(None, None, 1)),
            "sequence": tfds.features.Text(),
            "frame": tfds.features.Text(),
            "key": tfds.features.Text(),
            "offset": np.int64,
            "distance": np.int64,
            "is_keyframe": np.bool_,
            **dict.fromkeys(_QUALITY, np.float32),
        }
    )


def _examples(
    source: VideoSource, rows: Sequence[ExportRow], writer: LabelWriter
) -> Iterator[dict[str, Any]]:
    for row in rows:
        interrupts.check()
        label_path = writer.label_path(row.sequence, row.frame)
        confidence_path = writer.confidence_path(row.sequence, row.frame)
        label = images.decode_label(read_bytes(label_path), label_path).pixels
        confidence = read_bytes(confidence_path)
        images.decode_label(confidence, confidence_path)  # raises if it is damaged
        yield {
            "image": clips.frame_bytes(source, row.sequence, row.frame),
            # Decoded and written again as grey: TFDS may turn palettes into colours.
            "label": images.encode_png(label),
            "confidence": confidence,
            "sequence": row.sequence,
            "frame": row.frame,
            "key": row.key,
            "offset": row.offset,
            "distance": abs(row.offset),
            "is_keyframe": row.offset == 0,
            **{name: getattr(row, name) for name in _QUALITY},
        }


def _write_shard(
    path: Path,
    features: tfds.features.FeaturesDict,
    source: VideoSource,
    rows: Sequence[ExportRow],
    writer: LabelWriter,
    digests: SourceDigests,
) -> dict[str, Any]:
    """Writes a shard unless it is there; returns what is known about it."""
    record_path = path.with_name(path.name + ".json")
    inputs = _fingerprint(source, rows, writer, digests)
    record = _valid_record(path, record_path, inputs)
    if record is not None:
        return record
    specs: Any = features.get_serialized_info()  # TFDS's own hints do not fit each other
    serializer = tfds.core.ExampleSerializer(specs)
    payload = 0
    with replacing(path) as temporary:
        shard = ArrayRecordWriter(str(temporary), "group_size:1")
        for example in _examples(source, rows, writer):
            message = serializer.get_tf_example(features.encode_example(example))
            # Else the order of the fields, and with it the file, is another in every process.
            serialized = message.SerializeToString(deterministic=True)
            shard.write(serialized)
            payload += len(serialized)
        shard.close()
        record = {
            "examples": len(rows),
            "bytes": payload,
            "inputs": inputs,
            "sha256": sha256(temporary).hex(),
        }
    write_atomically(record_path, json.dumps(record, indent=1, sort_keys=True).encode())
    return record


def _valid_record(path: Path, record_path: Path, inputs: str) -> dict[str, Any] | None:
    try:
        record = read_json(record_path)
        valid = record["inputs"] == inputs and record["sha256"] == sha256(path).hex()
    except (UserError, ValueError, KeyError, TypeError):
        return None
    return record if valid else None


def _fingerprint(
    source: VideoSource, rows: Sequence[ExportRow], writer: LabelWriter, digests: SourceDigests
) -> str:
    """Of the elements' names and quality, classes, frames, labels and confidences."""
    head = [source.name, label_maps.classes_to_json(source.classes)]
    digest = hashlib.sha256(json.dumps(head).encode())
    for row in rows:
        digest.update(json.dumps(dataclasses.astuple(row)).encode())
        digest.update(digests.frame(row.sequence, row.frame).encode())
        for path in (
            writer.label_path(row.sequence, row.frame),
            writer.confidence_path(row.sequence, row.frame),
        ):
            digest.update(hashlib.sha256(read_bytes(path)).digest())
    return digest.hexdigest()


def _shard_name(shard: int, shards: int) -> str:
    return f"{DATASET}-{SPLIT}.array_record-{shard:05d}-of-{shards:05d}"


def _remove_others(directory: Path, shards: Sequence[str]) -> None:
    """Removes shards of a longer or shorter list of frames, what a killed run left, and links."""
    keep = {name for shard in shards for name in (shard, f"{shard}.json")}
    for path in directory.iterdir():
        other = path.name.startswith(f"{DATASET}-{SPLIT}.array_record-") and path.name not in keep
        # TFDS would write through a link.
        if other or TEMPORARY.fullmatch(path.name) or path.is_symlink():
            path.unlink()


def _register(
    directory: Path,
    features: tfds.features.FeaturesDict,
    classes: ClassMap,
    records: Sequence[dict[str, Any]],
) -> None:
    template = tfds.core.ShardedFileTemplate(
        data_dir=tfds.core.Path(directory),
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        dataset_name=DATASET,
        split=SPLIT,
        filetype_suffix="array_record",
    )
    split = tfds.core.SplitInfo(
        name=SPLIT,
        shard_lengths=[record["examples"] for record in records],
        num_bytes=sum(record["bytes"] for record in records),
        filename_template=template,
    )
    # dataset_info.json comes last of what this writes: until then there is no data set.
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        features=features,
        split_infos=[split],
        version=VERSION,
        filename_template=template,
        check_data=False,
        description="Labels propagated from the labelled frames of videos; label 255: unknown.",
        metadata=tfds.core.MetadataDict({"classes": label_maps.classes_to_json(classes)}),
        disable_shuffling=True,
    )
