"""Synthetic clips as a TFDS data set in array_record, with exact flow; TensorFlow is not needed.

One element is one clip of N frames::

    sequence          Text                        name of the clip
    start             int64                       0: the clip's first frame
    frame_names       Sequence(Text)              N names
    frames            Sequence(Image)             N PNG, RGB
    labels            Sequence({name: Text,       N names of frames, and their labels:
                                label: LabeledImage})   grey PNG, pixel value = id
    flow_backward     Tensor float32 [N-1, H, W, 2]   (dx, dy) in pixels; entry i lives on frame
                                                  i+1 and points into frame i; NaN: no such point
    flow_forward      Tensor float32 [N-1, H, W, 2]   entry i lives on frame i, into frame i+1
    visible_backward  Tensor bool [N-1, H, W]     see ``SyntheticClip``
    visible_forward   Tensor bool [N-1, H, W]

The metadata hold the class map (``classes``, as in ``classes.json``) and per split the names in
every element (``clips``), as the other clip data sets of this project do.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from wrp_jax.data.synthetic import export
from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.synthetic.source import SyntheticSource


@dataclasses.dataclass
class SyntheticStreetsConfig(tfds.core.BuilderConfig):
    """What to render.

    Attributes:
      options: of every clip.
      seed: of the first clip; it is also the town of all clips, unless ``options.town`` is set.
      train, validation: clips in each split; the seeds of validation follow those of train.
    """

    options: SyntheticConfig = dataclasses.field(default_factory=SyntheticConfig)
    seed: int = 0
    train: int = 8
    validation: int = 2


class SyntheticStreets(tfds.core.GeneratorBasedBuilder):
    """Builder ``synthetic_streets``; the element is in the module's docstring.

    Example:
      >>> builder = SyntheticStreets(data_dir="tfds")  # doctest: +SKIP
      >>> builder.download_and_prepare()  # doctest: +SKIP
      >>> clip = builder.as_data_source("train")[0]  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        SyntheticStreetsConfig(name="demo", description="192x112, the demo's size"),
        SyntheticStreetsConfig(
            name="large", description="480x288", options=SyntheticConfig(height=288, width=480)
        ),
    )
    # TFDS would find this out with importlib_resources, which it does not declare.
    code_path = Path(__file__)

    def __init__(self, **kwargs):
        """As every TFDS builder; the format is array_record, which needs no TensorFlow."""
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        options = self._config().options
        steps, size = max(options.frames - 1, 0), (options.height, options.width)

        def tensor(shape: tuple[int, ...], dtype: type) -> tfds.features.Tensor:
            return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="zlib")

        return tfds.core.DatasetInfo(
            builder=self,
            description="Rendered street videos with exact labels and exact motion.",
            features=tfds.features.FeaturesDict(
                {
                    "sequence": tfds.features.Text(),
                    "start": np.int64,
                    "frame_names": tfds.features.Sequence(tfds.features.Text()),
                    "frames": tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3))),
                    "labels": tfds.features.Sequence(
                        {
                            "name": tfds.features.Text(),
                            "label": tfds.features.LabeledImage(
                                labels=list(CLASSES.names), shape=(None, None, 1)
                            ),
                        }
                    ),
                    "flow_backward": tensor((steps, *size, 2), np.float32),
                    "flow_forward": tensor((steps, *size, 2), np.float32),
                    "visible_backward": tensor((steps, *size), np.bool_),
                    "visible_forward": tensor((steps, *size), np.bool_),
                }
            ),
            metadata=tfds.core.MetadataDict({"classes": export.class_table(), "clips": {}}),
            disable_shuffling=True,
        )

    def _config(self) -> SyntheticStreetsConfig:
        config = self.builder_config
        if not isinstance(config, SyntheticStreetsConfig):
            raise TypeError("synthetic_streets needs a SyntheticStreetsConfig")
        return config

    def _split_generators(self, dl_manager):
        del dl_manager
        config = self._config()
        options = config.options
        if options.town is None:
            options = dataclasses.replace(options, town=config.seed)
        source = SyntheticSource(options, config.train + config.validation, config.seed, cache=1)
        parts = {
            "train": source.sequences[: config.train],
            "validation": source.sequences[config.train :],
        }
        return {
            split: self._generate_examples(source, sequences, split)
            for split, sequences in parts.items()
            if sequences
        }

    def _generate_examples(self, source: SyntheticSource, sequences: tuple[str, ...], split: str):
        index = self.info.metadata["clips"].setdefault(split, [])
        for sequence in sequences:
            clip, names = source.clip(sequence), list(source.frame_names(sequence))
            index.append({"sequence": sequence, "start": 0, "frames": names, "labels": names})
            yield (
                sequence,
                {
                    "sequence": sequence,
                    "start": 0,
                    "frame_names": names,
                    "frames": [export.frame_png(frame) for frame in clip.frames],
                    "labels": [
                        {"name": name, "label": export.label_png(label, palette=False)}
                        for name, label in zip(names, clip.labels, strict=True)
                    ],
                    "flow_backward": clip.flow_backward,
                    "flow_forward": clip.flow_forward,
                    "visible_backward": clip.visible_backward,
                    "visible_forward": clip.visible_forward,
                },
            )
