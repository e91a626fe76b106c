"""TFDS builders of clips (see ``clips``), in array_record and without TensorFlow.

``wrp build`` runs them from a command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from wrp_jax.data import label_maps
from wrp_jax.data.folder import FolderSource, open_folder
from wrp_jax.data.public_sets.camvid import camvid_classes
from wrp_jax.data.source import VideoSource
from wrp_jax.data.tfds import clips
from wrp_jax.types import ClassMap, UserError

ClipSplits = Mapping[str, tuple[VideoSource, Sequence[str]]]
"""Per split a source, and which of its sequences."""


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of clips: subclasses say which classes and which sequences."""

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Video clips with labels of some frames."
    # TFDS would find this out with importlib_resources, which it does not declare.
    code_path = tfds.core.Path(__file__)

    def __init__(self, **kwargs):
        """As every TFDS builder; the format is array_record, which needs no TensorFlow."""
        super().__init__(file_format="array_record", **kwargs)

    def clip_classes(self) -> ClassMap:
        """The class map."""
        raise NotImplementedError

    def clip_splits(self, dl_manager: tfds.download.DownloadManager) -> ClipSplits:
        """What each split is made of."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        classes = self.clip_classes()
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(clips.clip_features(classes)),
            metadata=clips.clip_metadata(classes),
            disable_shuffling=True,  # clips stay in order, and the index with them
        )

    def _split_generators(self, dl_manager):
        metadata = self.info.metadata
        assert isinstance(metadata, dict)  # clip_metadata of _info
        index = metadata["clips"]
        return {
            split: clips.clip_examples(source, sequences, index.setdefault(split, []))
            for split, (source, sequences) in self.clip_splits(dl_manager).items()
        }

    def _generate_examples(self):
        raise NotImplementedError("the split generators above are all there is")


class FolderVideo(ClipBuilder, skip_registration=True):
    """A folder (see ``folder``) as ``folder_video/NAME``, one split ``train``.

    Example:
      >>> builder = FolderVideo(folder="videos/harbour", data_dir="tfds")  # doctest: +SKIP
      >>> builder.download_and_prepare()  # doctest: +SKIP
      >>> source = open_source("tfds:folder_video/harbour:train@tfds")  # doctest: +SKIP
    """

    def __init__(self, *, folder: str | Path, name: str | None = None, **kwargs):
        """Opens the folder.

        Args:
          folder: root of the data set.
          name: name of the configuration; the folder's own by default.
          **kwargs: for TFDS, ``data_dir`` above all.

        Raises:
          UserError: the folder is not laid out as one, or the name is none.
        """
        self._source = open_folder(Path(folder))
        name = name or re.sub(r"[^\w.-]", "_", Path(folder).resolve().name)
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
            raise UserError(f"{name!r} is no name for a data set: use letters, digits, _ and -.")
        super().__init__(config=tfds.core.BuilderConfig(name=name), **kwargs)

    def clip_classes(self) -> ClassMap:
        """From ``classes.json``."""
        return self._source.classes

    def clip_splits(self, dl_manager: tfds.download.DownloadManager) -> ClipSplits:
        """One split of all sequences."""
        del dl_manager
        return {"train": (self._source, self._source.sequences)}


class Camvid(ClipBuilder):
    """CamVid as ``camvid``: split ``video`` (15 Hz) and split ``stills`` (1 Hz).

    Reads ``manual_dir`` as ``wrp convert --set=camvid`` writes it: sequences whose name contains
    ``15hz`` are video, the others are labelled frames too far apart to propagate between, unless
    the film was converted with them.
    """

    DESCRIPTION = "CamVid, 480x360, 11 classes and void; for non-commercial research."
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir holds classes.json and <sequence>/frames/*, <sequence>/labels/*.png, the labels
    with the ids 0 ... 11 of the 11-class form; 15 Hz sequences have 15hz in their name."""

    def clip_classes(self) -> ClassMap:
        """The 11 classes, and void."""
        return camvid_classes()

    def clip_splits(self, dl_manager: tfds.download.DownloadManager) -> ClipSplits:
        """Video and stills, as far as they are there."""
        source = self.open_manual(Path(dl_manager.manual_dir))
        video = [name for name in source.sequences if "15hz" in name]
        stills = [name for name in source.sequences if "15hz" not in name]
        found = {"video": (source, video), "stills": (source, stills)}
        return {split: part for split, part in found.items() if part[1]}

    def open_manual(self, folder: Path) -> FolderSource:
        """Opens the folder; UserError if its classes are not the 11 of this data set."""
        source = open_folder(folder)
        if not label_maps.same_classes(source.classes, self.clip_classes()):
            raise UserError(
                f"{folder}: classes.json does not hold CamVid's 11 classes and void, with the "
                "ids 0 ... 11; build it with --dataset=folder."
            )
        return source
