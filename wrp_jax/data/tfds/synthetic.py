"""Synthetic clips as a TFDS data set in array_record, with exact flow; TensorFlow is not needed.

The element is the one of ``wrp_jax.data.tfds.clips``, a clip of up to 32 frames, all labelled; and
beside it, for the N frames of the element::

    flow_backward     Tensor float32 [N-1, H, W, 2]   (dx, dy) in pixels; entry i lives on frame
                                                  i+1 and points into frame i; NaN: no such point
    flow_forward      Tensor float32 [N-1, H, W, 2]   entry i lives on frame i, into frame i+1
    visible_backward  Tensor bool [N-1, H, W]     see ``SyntheticClip``
    visible_forward   Tensor bool [N-1, H, W]
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.data.tfds import clips
from wrp_jax.data.tfds.builders import ClipBuilder
from wrp_jax.types import ClassMap

_MOTION = ("flow_backward", "flow_forward", "visible_backward", "visible_forward")


@dataclasses.dataclass
class SyntheticStreetsConfig(tfds.core.BuilderConfig):
    """What to render.

    Attributes:
      options: of every clip.
      seed: of the first clip; it is also the town of all clips, unless ``options.town`` is set.
      train: clips in split ``train``.
      validation: clips in split ``validation``; their seeds follow those of ``train``.
    """

    options: SyntheticConfig = dataclasses.field(default_factory=SyntheticConfig)
    seed: int = 0
    train: int = 8
    validation: int = 2


class SyntheticStreets(ClipBuilder):
    """Rendered street videos as ``synthetic_streets``; the element is in the module's docstring.

    Example:
      >>> builder = SyntheticStreets(config="demo", data_dir="tfds")  # doctest: +SKIP
      >>> builder.download_and_prepare()  # doctest: +SKIP
      >>> source = open_source("tfds:synthetic_streets/demo:train@tfds")  # doctest: +SKIP
    """

    DESCRIPTION = "Rendered street videos with exact labels and exact motion."
    BUILDER_CONFIGS = (
        SyntheticStreetsConfig(name="demo", description="192x112, the demo's size"),
        SyntheticStreetsConfig(
            name="large", description="480x288", options=SyntheticConfig(height=288, width=480)
        ),
    )

    @property
    def _streets(self) -> SyntheticStreetsConfig:
        config = self.builder_config
        if not isinstance(config, SyntheticStreetsConfig):
            raise TypeError("synthetic_streets takes a SyntheticStreetsConfig")
        return config

    def clip_classes(self) -> ClassMap:
        """The twelve classes, and void."""
        return CLASSES

    def clip_splits(self, dl_manager: tfds.download.DownloadManager):
        """``train``, and ``validation`` unless it is to have no clips."""
        del dl_manager
        config = self._streets
        options = config.options
        if options.town is None:
            options = dataclasses.replace(options, town=config.seed)
        source = SyntheticSource(
            options, config.train + config.validation, config.seed, cache_bytes=0
        )
        parts = {
            "train": (source, source.sequences[: config.train]),
            "validation": (source, source.sequences[config.train :]),
        }
        return {split: part for split, part in parts.items() if part[1]}

    def _info(self) -> tfds.core.DatasetInfo:
        size = (self._streets.options.height, self._streets.options.width)
        motion = {
            name: tfds.features.Tensor(
                shape=(None, *size, 2) if name.startswith("flow") else (None, *size),
                dtype=np.float32 if name.startswith("flow") else np.bool_,
                encoding="zlib",
            )
            for name in _MOTION
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict({**clips.clip_features(CLASSES), **motion}),
            metadata=clips.clip_metadata(CLASSES),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._with_motion(examples, source)
            for (split, examples), (source, _) in zip(
                super()._split_generators(dl_manager).items(),
                self.clip_splits(dl_manager).values(),
                strict=True,
            )
        }

    @staticmethod
    def _with_motion(examples, source: SyntheticSource):
        for key, element in examples:
            clip, start = source.clip(element["sequence"]), element["start"]
            steps = slice(start, start + len(element["frames"]) - 1)
            yield key, {**element, **{name: getattr(clip, name)[steps] for name in _MOTION}}
