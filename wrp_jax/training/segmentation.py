"""Stage "segmentation": trains g_ψ from scratch on the labelled frames alone."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wrp_jax.checkpoint import check_metadata, load_result, result_path, save_result
from wrp_jax.config import Config, SegmentationConfig
from wrp_jax.data.known_labels import KnownLabels, LabelledFrame
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.pipeline import make_batches
from wrp_jax.data.source import VideoSource
from wrp_jax.data.transforms import IGNORE, Augmentation, CropSampler
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.for_classes import build_for_classes
from wrp_jax.models.segmentation.inference import for_inference
from wrp_jax.models.segmentation.light import working_scale
from wrp_jax.training.accumulation import gradient_in_parts
from wrp_jax.training.loop import fit
from wrp_jax.training.losses import class_weights, segmentation_loss
from wrp_jax.training.pretrained import initial_variables, published_segmentation
from wrp_jax.training.stages import run_metadata
from wrp_jax.training.state import (
    TrainState,
    apply_gradients,
    create_train_state,
    inference_variables,
)
from wrp_jax.types import ClassMap, UserError, Window

STAGE = "segmentation"


class CropBatch(NamedTuple):
    """One batch of augmented crops.

    Attributes:
      image: uint8 ``[b, h, w, 3]``.
      label: uint8 ``[b, h, w]``, class indices, `IGNORE` where the loss is silent.
    """

    image: Any
    label: Any


def train_segmentation(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains g_ψ and writes ``workdir/segmentation.npz``; goes on where it was stopped.

    Args:
      config: ``config.segmentation`` and ``config.seed`` are read.
      known: the labelled frames; no other label is looked at.
      source: the video; its labelled frames are drawn more often than stills, since it is its
        frames that g_ψ will have to label.
      windows: say which frames of ``source`` are labelled frames rather than stills.
      workdir: of the run.

    Raises:
      UserError: there is nothing to learn from.
    """
    options = config.segmentation
    frames = _Frames(known.items, known.classes, options.learn_void)
    sampler = CropSampler(
        frames,
        counts=frames.counts,
        crop=crop_size(options.crop, frames.sizes),
        weights=frame_weights(known, source, windows, options.key_share),
        scales=np.array([working_scale(size, options.max_pixels) for size in frames.sizes]),
        class_share=options.class_share,
        augmentation=Augmentation(scale=options.scale),
    )
    steps = number_of_steps(options, len(known.items))
    network = build_for_classes(options, known.classes)
    optimizer = make_optimizer(options, steps)
    example = jnp.zeros((1, *sampler.crop, 3))
    variables = initial_variables(network, options, known.classes, example, config.seed)
    metadata = run_metadata(config, known)
    weights = class_weights(jnp.asarray(sampler.expected_counts, jnp.float32))
    state = fit(
        name=STAGE,
        state=create_train_state(variables, optimizer, ema=True),
        train_step=make_train_step(
            network, optimizer, weights, options.ema_decay, options.accumulate
        ),
        batches=make_batches(
            range(len(known.items)),
            batch_size=options.batch_size,
            seed=config.seed,
            transform=functools.partial(_draw, sampler),
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        ),
        steps=steps,
        workdir=workdir,
        seed=config.seed,
        metadata=metadata,
    )
    save_result(workdir, STAGE, inference_variables(state), metadata)


def load_segmentation(
    workdir: str | os.PathLike | None, config: Config, classes: ClassMap
) -> tuple[Network, Any]:
    """Reads a trained g_ψ back, or published weights where none was trained.

    Args:
      workdir: of the run; None where ``config.segmentation.weights`` is all there is.
      config: that of the run.
      classes: of the data at hand.

    Returns:
      The network, which gives void no chance unless void was learnt, and its variables.

    Raises:
      UserError: not trained yet, a damaged file, or trained on other classes.
    """
    path = segmentation_file(workdir, config)
    if workdir is None or path != result_path(workdir, STAGE):
        network, variables = published_segmentation(config.segmentation, classes)
    else:
        variables, metadata = load_result(workdir, STAGE)
        check_metadata(path, metadata, {"classes": classes_to_json(classes)})
        network = build_for_classes(config.segmentation, classes)
    return for_inference(network, config.segmentation), variables


def segmentation_file(workdir: str | os.PathLike | None, config: Config) -> Path:
    """What ``load_segmentation`` reads: the stage's result, else the config's weights."""
    trained = None if workdir is None else result_path(workdir, STAGE)
    if trained is None or (config.segmentation.weights and not trained.exists()):
        return Path(config.segmentation.weights)
    return trained


def number_of_steps(options: SegmentationConfig, labelled_frames: int) -> int:
    """``options.steps``, or where it is 0 so many per labelled frame within limits."""
    if options.steps:
        return options.steps
    low, high = options.steps_range
    return int(np.clip(options.steps_per_frame * labelled_frames, low, high))


def make_optimizer(options: SegmentationConfig, steps: int) -> optax.GradientTransformation:
    """Muon on the kernels and AdamW on all else, gradients clipped, one-cycle schedule.

    Muon needs about a third of the steps that AdamW needs to the same quality here; its
    updates have the size of AdamW's, so that one learning rate serves both.

    Reference:
      Jordan 2024, "Muon"; size of the updates: Liu et al. 2025, arXiv:2502.16982.
    """
    schedule = optax.cosine_onecycle_schedule(
        steps, options.learning_rate, pct_start=0.15, div_factor=10, final_div_factor=200
    )
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.contrib.muon(
            schedule,
            weight_decay=options.weight_decay,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=0.2,
        ),
    )


def _matrices(params: Any) -> Any:
    """How Muon reads each parameter as a matrix; None for what it leaves to AdamW."""

    def dimensions(path: Any, x: Any) -> Any:
        classifier = any(getattr(key, "key", None) in ("logits", "aux") for key in path)
        if classifier or x.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)

    return jax.tree_util.tree_map_with_path(dimensions, params)


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    weights: jax.Array,
    ema_decay: float,
    accumulate: int = 1,
) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``.

    Args:
      network: segmentation network.
      optimizer: the one the state was made with.
      weights: of the classes, ``[num_classes]``.
      ema_decay: of the moving average of the variables.
      accumulate: parts of the batch whose gradients are computed one after the other.
    """

    def loss(params: Any, batch_stats: Any, batch: CropBatch, key: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": batch_stats}
        images = batch.image.astype(jnp.float32) / 255.0
        output, batch_stats = network.apply(variables, images, train=True, rngs={"dropout": key})
        return segmentation_loss(output, batch.label.astype(jnp.int32), weights), batch_stats

    gradient = gradient_in_parts(loss, accumulate)

    def train_step(
        state: TrainState, batch: CropBatch, key: jax.Array
    ) -> tuple[TrainState, dict[str, Any]]:
        (value, batch_stats), gradients = gradient(state.params, state.batch_stats, batch, key)
        state = apply_gradients(
            state, gradients, optimizer, batch_stats=batch_stats, ema_decay=ema_decay
        )
        return state, {"loss": value}

    return train_step


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


def frame_weights(
    known: KnownLabels, source: VideoSource, windows: Sequence[Window], key_share: float
) -> np.ndarray:
    """Relative frequency of each labelled frame, ``[len(known.items)]``.

    The labelled frames of the video together get ``key_share``, or what is their part by
    number if that is more.
    """
    keys = {(w.sequence, w.key) for w in windows}
    is_key = np.array(
        [item.source is source and (item.sequence, item.name) in keys for item in known.items]
    )
    part = is_key.mean()
    if part in (0.0, 1.0):
        return np.ones(len(is_key))
    share = max(key_share, part)
    return np.where(is_key, share / part, (1.0 - share) / (1.0 - part))


class _Frames(Sequence[tuple[np.ndarray, np.ndarray]]):
    """Labelled frames as uint8 pairs; decoded once while memory lasts, else at each use."""

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
            _, label = self[index]
            counts.append(np.bincount(label.ravel(), minlength=256)[: classes.num_classes])
            sizes.append(label.shape)
        self.counts, self.sizes = np.array(counts), sizes
        if not self.counts.sum():
            raise UserError(
                f"The {len(items)} labelled frames show no class other than void: label more, or "
                f"give --config.segmentation.learn_void=True."
            )

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:  # pyright: ignore
        if index in self._cache:
            return self._cache[index]
        item = self._items[index]
        label = item.label()
        label = self._ids[np.where((label < 0) | (label > 255), IGNORE, label)]
        pair = item.frame(), label
        size = pair[0].nbytes + pair[1].nbytes
        if size <= self._memory:
            self._memory -= size
            self._cache[index] = pair
        return pair


def _draw(sampler: CropSampler, index: int, rng: np.random.Generator) -> CropBatch:
    del index  # the sampler weighs frames and classes itself
    return CropBatch(*sampler(rng))
