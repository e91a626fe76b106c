"""The TFDS element of this project: a clip, and how a source is cut into clips.

One element is up to 32 consecutive frames of one sequence::

    sequence     Text                     name of the sequence
    start        int64                    position of the clip's first frame in the sequence
    frame_names  Sequence(Text)           names of the frames
    frames       Sequence(Image)          PNG or JPEG, RGB
    labels       Sequence({name: Text,    frames of the clip that have a label, and the label:
                           label: LabeledImage})   grey PNG, pixel value = id

Longer sequences become several elements, so that reading one frame reads a bounded number of
them. The metadata of the data set hold the class map (``classes``, as in ``classes.json``) and
per split the names in every element (``clips``), so that a split opens without being read.
Windows, distances and directions are not stored: they follow from a list or from which frames are
labelled (see ``windows``), and are those of the folder that the clips were made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from wrp_jax.data import images, label_maps
from wrp_jax.data.source import StoredSource, VideoSource
from wrp_jax.types import ClassMap

CLIP_FRAMES = 32
"""Most frames in one element."""


def label_feature(classes: ClassMap) -> tfds.features.LabeledImage:
    """A label whose pixel values are file ids; ids that no class has are named ``unused_ID``.

    255 may occur without a name: it marks pixels where nothing is known.
    """
    names = [f"unused_{i}" for i in range(max(classes.ids) + 1)]
    for i, name in zip(classes.ids, classes.names, strict=True):
        names[i] = name
    return tfds.features.LabeledImage(labels=names, shape=(None, None, 1))


def clip_features(classes: ClassMap) -> dict[str, Any]:
    """The features of one element; a builder may add its own beside them."""
    return {
        "sequence": tfds.features.Text(),
        "start": np.int64,
        "frame_names": tfds.features.Sequence(tfds.features.Text()),
        "frames": tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3))),
        "labels": tfds.features.Sequence(
            {"name": tfds.features.Text(), "label": label_feature(classes)}
        ),
    }


def clip_metadata(classes: ClassMap) -> tfds.core.MetadataDict:
    """The metadata of a new data set; ``clip_examples`` fills in ``clips``."""
    return tfds.core.MetadataDict({"classes": label_maps.classes_to_json(classes), "clips": {}})


def clip_examples(
    source: VideoSource, sequences: Iterable[str], index: list[dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Cuts sequences into elements.

    Args:
      source: where they come from.
      sequences: which of its sequences.
      index: gets an entry of names per element, for the metadata's ``clips`` of the split.

    Yields:
      A unique key and the element, as a TFDS generator does.

    Raises:
      UserError: a frame or label that cannot be read.
    """
    for sequence in sequences:
        names = source.frame_names(sequence)
        labelled = source.label_names(sequence)
        for start in range(0, len(names), CLIP_FRAMES):
            inside = names[start : start + CLIP_FRAMES]
            known = [name for name in inside if name in labelled]
            index.append(
                {"sequence": sequence, "start": start, "frames": list(inside), "labels": known}
            )
            yield (
                f"{sequence}/{start}",
                {
                    "sequence": sequence,
                    "start": start,
                    "frame_names": list(inside),
                    "frames": [frame_bytes(source, sequence, name) for name in inside],
                    "labels": [
                        {"name": name, "label": _label_bytes(source, sequence, name)}
                        for name in known
                    ],
                },
            )


def frame_bytes(source: VideoSource, sequence: str, name: str) -> bytes:
    """A frame as it is stored where the source has it stored, else as PNG."""
    if isinstance(source, StoredSource):
        return source.frame_bytes(sequence, name)
    return images.encode_png(source.frame(sequence, name))


def _label_bytes(source: VideoSource, sequence: str, name: str) -> bytes:
    # Grey, not palette: with OpenCV installed TFDS would decode a palette to its colours.
    ids = label_maps.indices_to_ids(source.label(sequence, name), source.classes)
    return images.encode_png(ids)
