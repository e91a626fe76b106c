"""TFDS builders of published flow sets that the user has downloaded, in array_record.

    wrp build --set=flying_chairs --data=FOLDER --output=DIR

The element of every set::

    name    Text              of the pair
    first   Image uint8       RGB
    second  Image uint8       RGB, the same size
    flow    Tensor float32 [h, w, 2]   on ``first``, into ``second``, pixels; 0 where not known
    valid   Tensor bool [h, w]         where it is known

TensorFlow is not needed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from wrp_jax.data import images
from wrp_jax.data.flow_files import read_flow
from wrp_jax.data.flow_sets.pfm import read_pfm
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError

SET_FEATURES = frozenset({"name", "first", "second", "flow", "valid"})
"""What tells a set of pairs from a set of clips."""


class Files(NamedTuple):
    """Where one pair lies."""

    name: str
    first: Path
    second: Path
    flow: Path


class FlowSetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of pairs: subclasses say where the files of each split lie."""

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Image pairs with true optical flow."
    # TFDS would find this out with importlib_resources, which it does not declare.
    code_path = tfds.core.Path(__file__)

    def __init__(self, **kwargs):
        """As every TFDS builder; the format is array_record, which needs no TensorFlow."""
        super().__init__(file_format="array_record", **kwargs)

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """The pairs of each split.

        Raises:
          UserError: the folder is not laid out as published.
        """
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        tensor = tfds.features.Tensor
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "first": tfds.features.Image(shape=(None, None, 3)),
                    "second": tfds.features.Image(shape=(None, None, 3)),
                    "flow": tensor(shape=(None, None, 2), dtype=np.float32, encoding="zlib"),
                    "valid": tensor(shape=(None, None), dtype=np.bool_, encoding="zlib"),
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        splits = self.files(Path(dl_manager.manual_dir))
        return {split: _examples(files) for split, files in splits.items() if files}

    def _generate_examples(self):
        raise NotImplementedError("the split generators above are all there is")


class FlyingChairs(FlowSetBuilder):
    """FlyingChairs as ``flying_chairs``: splits ``train`` and, with the list, ``validation``.

    Reference: Dosovitskiy et al., ICCV 2015; layout of ``FlyingChairs.zip``; the list is
    ``FlyingChairs_train_val.txt`` (a 1 or a 2 per pair), or RAFT's copy ``chairs_split.txt``.
    """

    DESCRIPTION = "FlyingChairs, 512x384; for research."
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir is FlyingChairs_release, with data/00001_img1.ppm, 00001_img2.ppm,
    00001_flow.flo and so on; FlyingChairs_train_val.txt beside data, if there is one."""

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """Pairs by number; all are ``train`` without the list."""
        data = folder / "data"
        pairs = []
        for first in sorted(data.glob("*_img1.ppm")):
            stem = first.name.removesuffix("_img1.ppm")
            second, flow = data / f"{stem}_img2.ppm", data / f"{stem}_flow.flo"
            pairs.append(Files(stem, first, second, flow))
        _require(pairs, data, "00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo and so on")
        lists = [folder / "FlyingChairs_train_val.txt", folder / "chairs_split.txt"]
        found = next((path for path in lists if path.is_file()), None)
        if found is None:
            return {"train": pairs}
        marks = read_bytes(found).decode(errors="replace").split()
        if len(marks) != len(pairs) or set(marks) - {"1", "2"}:
            raise UserError(
                f"{found} has {len(marks)} marks and there are {len(pairs)} pairs: it must hold a "
                "1 (train) or a 2 (validation) for each."
            )
        by_mark = {m: [p for p, mark in zip(pairs, marks, strict=True) if mark == m] for m in "12"}
        return {"train": by_mark["1"], "validation": by_mark["2"]}


@dataclasses.dataclass
class _Pass(tfds.core.BuilderConfig):
    """Which rendering the pictures are taken from."""

    folder: str = ""


class FlyingThings3d(FlowSetBuilder):
    """FlyingThings3D, left camera, both directions of time; ``train`` and ``test``.

    ``flying_things3d/cleanpass`` and ``/finalpass``.

    Reference: Mayer et al., CVPR 2016; layout of the archives; choice of pairs as
    princeton-vl/RAFT, ``core/datasets.py``.
    """

    DESCRIPTION = "FlyingThings3D, 960x540; for research."
    BUILDER_CONFIGS = (
        _Pass(name="cleanpass", folder="frames_cleanpass"),
        _Pass(name="finalpass", folder="frames_finalpass"),
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir has frames_cleanpass/TRAIN/A/0000/left/0006.png (or frames_finalpass) and
    optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm, and into_past."""

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """Each two neighbouring frames twice: into the future and into the past."""
        config = self.builder_config
        assert isinstance(config, _Pass)
        frames, splits = folder / config.folder, {}
        for split, part in (("train", "TRAIN"), ("test", "TEST")):
            pairs = []
            for scene in sorted(frames.glob(f"{part}/*/*/left")):
                pairs += _things(scene, folder / "optical_flow" / scene.relative_to(frames).parent)
            splits[split] = pairs
        _require(splits["train"] + splits["test"], frames, "TRAIN/A/0000/left/0006.png and so on")
        return splits


class SintelFlow(FlowSetBuilder):
    """MPI Sintel as ``sintel_flow/clean`` and ``/final``; its training part as ``train``.

    Reference: Butler et al., ECCV 2012; layout of ``MPI-Sintel-complete.zip``.
    """

    DESCRIPTION = "MPI Sintel, 1024x436."
    BUILDER_CONFIGS = (_Pass(name="clean", folder="clean"), _Pass(name="final", folder="final"))
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir has training/clean/alley_1/frame_0001.png (or training/final) and
    training/flow/alley_1/frame_0001.flo."""

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """Neighbouring frames of each scene."""
        config = self.builder_config
        assert isinstance(config, _Pass)
        root, pairs = folder / "training" / config.folder, []
        for scene in sorted(path for path in root.glob("*") if path.is_dir()):
            names = sorted(scene.glob("frame_*.png"))
            for first, second in itertools.pairwise(names):
                flow = folder / "training" / "flow" / scene.name / f"{first.stem}.flo"
                pairs.append(Files(f"{scene.name}/{first.stem}", first, second, flow))
        _require(pairs, root, "alley_1/frame_0001.png and so on")
        return {"train": pairs}


class KittiFlow(FlowSetBuilder):
    """KITTI 2015 as ``kitti_flow``: its training part as ``train``; sparse flow.

    Reference: Menze and Geiger, CVPR 2015; layout of ``data_scene_flow.zip``.
    """

    DESCRIPTION = "KITTI 2015 scene flow, about 1242x375; for non-commercial research."
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir has training/image_2/000000_10.png, 000000_11.png and
    training/flow_occ/000000_10.png."""

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """Frames 10 and 11 of each scene."""
        root = folder / "training" / "image_2"
        pairs = [
            Files(
                first.name[:6], first, first.with_name(first.name.replace("_10", "_11")),
                folder / "training" / "flow_occ" / first.name,
            )
            for first in sorted(root.glob("*_10.png"))
        ]  # fmt: skip
        _require(pairs, root, "000000_10.png, 000000_11.png and so on")
        return {"train": pairs}


class Hd1kFlow(FlowSetBuilder):
    """HD1K as ``hd1k_flow``: its training part as ``train``; sparse flow.

    Reference: Kondermann et al., CVPR workshops 2016; layout of ``hd1k_full_package.zip``; choice
    of pairs as princeton-vl/RAFT, ``core/datasets.py``.
    """

    DESCRIPTION = "HD1K, 2560x1080; for research."
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir has hd1k_input/image_2/000000_0000.png, 000000_0001.png and so on (sequence and
    frame) and hd1k_flow_gt/flow_occ/000000_0000.png."""

    def files(self, folder: Path) -> dict[str, list[Files]]:
        """Neighbouring frames of each sequence."""
        root, flows = folder / "hd1k_input" / "image_2", folder / "hd1k_flow_gt" / "flow_occ"
        pairs = [
            Files(first.stem, first, second, flows / first.name)
            for first, second in itertools.pairwise(sorted(root.glob("*_*.png")))
            if first.stem.split("_")[0] == second.stem.split("_")[0]
        ]
        _require(pairs, root, "000000_0000.png, 000000_0001.png and so on")
        return {"train": pairs}


BUILDERS: dict[str, type[FlowSetBuilder]] = {
    "flying_chairs": FlyingChairs,
    "flying_things3d": FlyingThings3d,
    "sintel_flow": SintelFlow,
    "kitti_flow": KittiFlow,
    "hd1k_flow": Hd1kFlow,
}
"""By the name that TFDS gives them."""


def _things(scene: Path, flow: Path) -> list[Files]:
    names, pairs = sorted(scene.glob("*.png")), []
    for earlier, later in itertools.pairwise(names):
        name = "/".join(scene.parent.parts[-3:])
        future = flow / "into_future" / "left" / f"OpticalFlowIntoFuture_{earlier.stem}_L.pfm"
        past = flow / "into_past" / "left" / f"OpticalFlowIntoPast_{later.stem}_L.pfm"
        pairs.append(Files(f"{name}/{earlier.stem}_future", earlier, later, future))
        pairs.append(Files(f"{name}/{later.stem}_past", later, earlier, past))
    return pairs


def _examples(files: list[Files]) -> Iterator[tuple[int, dict]]:
    for index, pair in enumerate(files):
        pictures = [read_bytes(path) for path in (pair.first, pair.second)]
        size, other = (
            images.frame_size(data, path)
            for data, path in zip(pictures, (pair.first, pair.second), strict=True)
        )
        if size != other:
            raise UserError(
                f"{pair.second} is {other[1]}x{other[0]} but {pair.first} is {size[1]}x{size[0]}: "
                "they must have one size."
            )
        flow = (read_pfm if pair.flow.suffix == ".pfm" else read_flow)(pair.flow, size)
        valid = np.asarray(np.isfinite(flow).all(axis=-1))
        first, second = (
            images.plain_bytes(data, path)
            for data, path in zip(pictures, (pair.first, pair.second), strict=True)
        )
        flow = np.where(valid[..., None], flow, 0).astype(np.float32)
        yield index, {
            "name": pair.name, "first": first, "second": second, "flow": flow, "valid": valid,
        }  # fmt: skip


def _require(pairs: list[Files], where: Path, wanted: str) -> None:
    if not pairs:
        raise UserError(f"{where} does not hold {wanted}: give the folder as it was published.")
    for pair in pairs:
        for path in (pair.first, pair.second, pair.flow):
            if not path.exists():
                raise UserError(f"{path} is missing: pair {pair.name} is not complete.")
