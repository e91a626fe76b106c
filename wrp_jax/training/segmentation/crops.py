"""What g_ψ is trained on: which labelled frames, and how crops are drawn from them."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wrp_jax import interrupts
from wrp_jax.config import SegmentationConfig, SegmentationSampling
from wrp_jax.data.known_labels import FurtherFrame, KnownLabels, LabelledFrame
from wrp_jax.data.source import VideoSource
from wrp_jax.models.segmentation.decoder import working_scale
from wrp_jax.segmentation.temperature import hold_out
from wrp_jax.training.segmentation.centroids import centroid_table
from wrp_jax.training.segmentation.transforms import IGNORE, PUBLISHED, Augmentation, CropSampler
from wrp_jax.types import ClassMap, UserError, Window


class CropBatch(NamedTuple):
    """One batch of augmented crops.

    Attributes:
      image: uint8 ``[b, h, w, 3]``.
      label: uint8 ``[b, h, w]``, class indices, `IGNORE` where the loss is silent.
    """

    image: Any
    label: Any


class CropDataset(NamedTuple):
    """What one training is made of.

    Attributes:
      learnt: the labelled frames to learn from.
      held: those kept out, to fit a temperature on; may be none.
      sampler: draws crops of ``learnt``, and around some classes of coarsely labelled frames.
      fine_sampler: does without coarse labels; None where there are none.
      coarse_crops: so many crops are drawn by ``sampler``, the rest by ``fine_sampler``; 0 for
        all by ``sampler``.
      further_sampler: draws crops of the frames that a student learns from besides; None where
        there are none.
      further_share: share of the crops that it draws.
    """

    learnt: tuple[LabelledFrame, ...]
    held: tuple[LabelledFrame, ...]
    sampler: CropSampler
    fine_sampler: CropSampler | None = None
    coarse_crops: int = 0
    further_sampler: CropSampler | None = None
    further_share: float = 0.0

    @property
    def in_order(self) -> bool:
        """Whether `draw` must be told the place of each crop in the training."""
        return self.coarse_crops > 0 or self.further_sampler is not None

    @property
    def expected_counts(self) -> np.ndarray:
        """Pixels of each class per frame drawn, float64 ``[num_classes]``."""
        counts = self.sampler.expected_counts
        if self.further_sampler is None:
            return counts
        further = self.further_sampler.expected_counts
        return (1.0 - self.further_share) * counts + self.further_share * further

    def draw(self, index: int, rng: np.random.Generator) -> CropBatch:
        """One crop; the samplers weigh frames and classes themselves.

        Args:
          index: place of the crop in the training where ``in_order``, else nothing.
          rng: source of randomness.
        """
        if self.further_sampler is not None and is_further(index, self.further_share):
            return CropBatch(*self.further_sampler(rng))
        fine = self.fine_sampler if 0 < self.coarse_crops <= index else None
        return CropBatch(*(fine or self.sampler)(rng))


def is_further(index: int, share: float) -> bool:
    """Whether a crop is one of the share that is drawn from further frames.

    They are spread evenly: of the first n crops they are ``round(share · n)``, whatever n is.
    """
    return round((index + 1) * share) > round(index * share)


def build_crop_dataset(
    options: SegmentationConfig,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    *,
    further: Sequence[FurtherFrame] = (),
    further_share: float = 0.0,
    epoch: float = 1.0,
) -> CropDataset:
    """Reads all labels once and decides from which frames and how crops are drawn.

    Args:
      options: of the segmentation.
      known: the labelled frames.
      source: the video; its labelled frames are drawn more often than stills, since it is its
        frames that g_ψ will have to label.
      windows: say which frames of ``source`` are labelled frames rather than stills.
      further: frames that a student learns from besides, each as likely as the others.
      further_share: share of the crops that are drawn from them.
      epoch: crops of an epoch for each labelled frame.

    Raises:
      UserError: there is nothing to learn from, or no class of a name in ``coarse_classes``.
    """
    sampling = options.sampling
    is_key = key_frames(known, source, windows)
    is_coarse = coarse_frames(known, sampling.coarse)
    # The video's own labelled frames teach most: they are held out where there is nothing else.
    candidates = np.flatnonzero(~is_coarse & (~is_key if not is_key.all() else is_key))
    held = hold_out(candidates.tolist(), sampling.calibration_share)
    kept = np.setdiff1d(np.arange(len(known.items)), held)
    items = tuple(known.items[i] for i in kept)
    is_coarse = is_coarse[kept]
    frames = FrameCache(items, known.classes, options.network.learn_void)
    if not frames.counts.sum():
        raise UserError(
            f"The {len(items)} labelled frames show no class other than void: label more, or "
            f"give --config.segmentation.network.learn_void=True."
        )
    draw = functools.partial(
        CropSampler,
        frames,
        counts=frames.counts,
        crop=crop_size(sampling.crop, frames.sizes),
        weights=frame_weights(is_key[kept], sampling.key_share),
        scales=np.array([working_scale(size, options.network.max_pixels) for size in frames.sizes]),
        class_share=sampling.class_share,
        centroids=frames.centroids(sampling.centroid_tile) if sampling.centroid_tile else None,
        augmentation=augmentation(sampling),
    )
    held_items = tuple(known.items[i] for i in held)
    more: dict[str, Any] = {}
    if further:
        keys = {(item.sequence, item.name) for item in held_items}
        around = [item for item in further if (item.sequence, item.key) not in keys]
        sampler = _sampler_of(
            around, options, known.classes, crop_size(sampling.crop, frames.sizes)
        )
        more = {"further_sampler": sampler, "further_share": further_share}
    if not is_coarse.any():
        return CropDataset(items, held_items, draw(), **more)
    boosted = named_classes(known.classes, sampling.coarse_classes)
    around = ~is_coarse[:, None] | boosted
    learnt = tuple(item for item, coarse in zip(items, is_coarse, strict=True) if not coarse)
    return CropDataset(
        learnt,
        held_items,
        draw(around=around),
        draw(around=around & ~is_coarse[:, None]),
        sampling.coarse_epochs * crops_of_epoch(len(learnt), epoch),
        **more,
    )


def crops_of_epoch(learnt: int, epoch: float) -> int:
    """Crops of an epoch: ``epoch`` for each labelled frame that is learnt from."""
    return max(1, round(epoch * learnt))


def _sampler_of(
    items: Sequence[LabelledFrame],
    options: SegmentationConfig,
    classes: ClassMap,
    crop: tuple[int, int],
) -> CropSampler:
    """Draws crops of these frames, each as likely as the others."""
    sampling, network = options.sampling, options.network
    frames = FrameCache(items, classes, network.learn_void)
    if not frames.counts.sum():
        raise UserError(
            f"The {len(items)} propagated labels show no class other than void: give a lower "
            "--config.student.confidence, or the labels of another method."
        )
    return CropSampler(
        frames,
        counts=frames.counts,
        crop=crop,
        scales=np.array([working_scale(size, network.max_pixels) for size in frames.sizes]),
        class_share=sampling.class_share,
        centroids=frames.centroids(sampling.centroid_tile) if sampling.centroid_tile else None,
        augmentation=augmentation(sampling),
    )


def coarse_frames(known: KnownLabels, pattern: str) -> np.ndarray:
    """Which of ``known.items`` are coarsely labelled, by the names of their sequences; bool.

    Raises:
      UserError: all of them are.
    """
    coarse = np.array([fnmatch.fnmatchcase(x.sequence, pattern) for x in known.items], bool)
    if coarse.size and coarse.all():
        raise UserError(
            f"All labelled frames are coarse by config.segmentation.sampling.coarse={pattern!r}: "
            "add --stills that are not, or give --config.segmentation.sampling.coarse= to learn "
            "from all alike."
        )
    return coarse


def named_classes(classes: ClassMap, names: Sequence[str]) -> np.ndarray:
    """Which classes have one of the names, bool ``[num_classes]``.

    Raises:
      UserError: there are no names, or no class has one of them.
    """
    wrong = next((repr(name) for name in names if name not in classes.names), None)
    if wrong or not names:
        raise UserError(
            f"config.segmentation.sampling.coarse_classes has {wrong or 'no names'}: choose from "
            f"the classes of classes.json, {', '.join(classes.names)}."
        )
    return np.array([name in names for name in classes.names])


def augmentation(options: SegmentationSampling) -> Augmentation:
    """What ``options.augmentation`` names, with the options' own scale and blur."""
    named = {"strong": Augmentation(), "published": PUBLISHED}
    return dataclasses.replace(named[options.augmentation], scale=options.scale, blur=options.blur)


def crop_size(wanted: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Crops no larger than the frames typically are, in multiples of 16.

    Args:
      wanted: height and width.
      sizes: height and width of each frame.
    """
    typical = np.median(sizes, axis=0)
    height, width = (
        int(max(16, -(-min(side, limit) // 16) * 16))
        for side, limit in zip(wanted, typical, strict=True)
    )
    return height, width


def key_frames(known: KnownLabels, source: VideoSource, windows: Sequence[Window]) -> np.ndarray:
    """Which of ``known.items`` are labelled frames of the windows, not stills; bool."""
    keys = {(w.sequence, w.key) for w in windows}
    return np.array(
        [item.source is source and (item.sequence, item.name) in keys for item in known.items]
    )


def frame_weights(is_key: np.ndarray, key_share: float) -> np.ndarray:
    """Relative frequency of each labelled frame.

    The labelled frames of the video together get ``key_share``, or what is their part by
    number if that is more.

    Args:
      is_key: of `key_frames`.
      key_share: 0 … 1.
    """
    part = is_key.mean()
    if part in (0.0, 1.0):
        return np.ones(len(is_key))
    share = max(key_share, part)
    return np.where(is_key, share / part, (1.0 - share) / (1.0 - part))


class FrameCache(Sequence[tuple[np.ndarray, np.ndarray]]):
    """Labelled frames as uint8 pairs; frames decoded once while memory lasts, else at each use."""

    def __init__(
        self,
        items: Sequence[LabelledFrame],
        classes: ClassMap,
        learn_void: bool,
        memory: int = 3 * 2**30,
    ):
        self._items = items
        ids = np.full(256, IGNORE, np.uint8)
        for index, void in enumerate(classes.void):
            ids[index] = IGNORE if void and not learn_void else index
        self._ids = ids
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._memory = memory
        counts: list[np.ndarray] = []
        sizes: list[tuple[int, int]] = []
        for index in range(len(items)):
            interrupts.check()
            label = self._label(index)
            counts.append(np.bincount(label.ravel(), minlength=256)[: classes.num_classes])
            sizes.append(label.shape)
        self.counts, self.sizes = np.array(counts), sizes

    def centroids(self, tile: int) -> list[np.ndarray]:
        """`centroid_table` of all frames."""
        labels = (self._label(index) for index in range(len(self)))
        return centroid_table(labels, self.counts.shape[1], tile)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:  # pyright: ignore
        if index in self._cache:
            return self._cache[index]
        pair = self._items[index].frame(), self._label(index)
        size = pair[0].nbytes + pair[1].nbytes
        if size <= self._memory:
            self._memory -= size
            self._cache[index] = pair
        return pair

    def _label(self, index: int) -> np.ndarray:
        label = self._items[index].label()
        return self._ids[np.where((label < 0) | (label > 255), IGNORE, label)]
