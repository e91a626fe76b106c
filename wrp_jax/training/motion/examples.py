"""Examples for the motion networks: augmented pairs with true flow, or runs of video frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from wrp_jax.config import Config, MotionSampling
from wrp_jax.data.flow_sets.pairs import FlowPairs, Mixture, flow_pairs
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.motion.build import reads_flow_files
from wrp_jax.training.motion.augment import FlowAugmentation, augment
from wrp_jax.training.motion.flying import FlyingPieces
from wrp_jax.training.motion.mixture import augmentation, further_set
from wrp_jax.types import Clip, Motion, UserError, clip_of

_BUILT = 1.3
"""Flying pieces are made larger than the crop by this, so that there is something to crop."""


@dataclasses.dataclass(frozen=True)
class PairExamples:
    """Draws augmented pairs as entries of a batch, see ``motion_networks.Batch``.

    Attributes:
      pairs: with true flow.
      augmentations: what is done to the pairs of each part of the mixture.
      guide: a motion whose flows the network reads, or None.
    """

    pairs: Mixture
    augmentations: tuple[FlowAugmentation, ...]
    guide: Motion | None

    def __len__(self) -> int:
        """Pairs of one pass."""
        return len(self.pairs)

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One example."""
        which = self.pairs.part(int(index))
        pair = augment(rng, self.pairs.pair(int(index), rng), self.augmentations[which])
        frames = np.stack([pair.second, pair.first])
        example = {"frames": frames, "flow": pair.flow, "valid": pair.valid}
        return with_guess(example, self.guide)


@dataclasses.dataclass(frozen=True)
class VideoExamples:
    """Draws runs of neighbouring frames, forwards or backwards, mirrored and cropped.

    Attributes:
      source: the video.
      runs: ``(sequence, position of the first frame)``.
      frames: length of a run.
      crop: height and width.
      guide: a motion whose flows the network reads, or None.
      whole: whether it is asked about the frames as they are, not about parts of them: flow
        that was computed elsewhere is known of those alone.
    """

    source: VideoSource
    runs: Sequence[tuple[str, int]]
    frames: int
    crop: tuple[int, int]
    guide: Motion | None
    whole: bool = False

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.runs)

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One example."""
        sequence, start = self.runs[int(index)]
        names = self.source.frame_names(sequence)[start : start + self.frames]
        clip = read_clip(self.source, sequence, names)
        example = {"frames": clip.stack(range(clip.count))}
        if self.whole:
            example = with_guess(example, self.guide, clip)
        example = _cropped(example, rng, self.crop)
        if rng.random() < 0.5:
            example = _backwards(example)
        if rng.random() < 0.5:
            example = _mirrored(example)
        example = {name: np.ascontiguousarray(a) for name, a in example.items()}
        return example if "guess" in example else with_guess(example, self.guide)


class CachedExamples:
    """Examples drawn once and then only mirrored and cropped: saves most of the host's work.

    Which example an index stands for depends on the seed and the index alone.
    """

    def __init__(self, examples: PairExamples, count: int, crop: tuple[int, int], seed: int):
        """Draws nothing yet.

        Args:
          examples: drawn from, at a size somewhat above ``crop``.
          count: number of examples to keep.
          crop: height and width.
          seed: of the examples.
        """
        self._examples, self._count, self._crop, self._seed = examples, count, crop, seed
        self._kept: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        """Number of examples."""
        return self._count

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One view of an example."""
        if index not in self._kept:
            own = np.random.default_rng([self._seed, int(index)])
            self._kept[index] = self._examples.draw(int(own.integers(len(self._examples))), own)
        example = self._kept[index]
        if rng.random() < 0.5:
            example = _mirrored(example)
        example = _cropped(example, rng, self._crop)
        return {name: np.ascontiguousarray(a) for name, a in example.items()}


_ROWS = {"frames": 1, "guess": 2, "flow": 0, "valid": 0}
"""Which axis of each entry counts the rows; the next one counts the columns."""


def _cropped(
    example: dict[str, Any], rng: np.random.Generator, size: tuple[int, int]
) -> dict[str, Any]:
    """The same part of all entries, height and width ``size``."""
    height, width = example["frames"].shape[1:3]
    y, x = (int(rng.integers(0, n - c + 1)) for n, c in zip((height, width), size, strict=True))
    part = slice(y, y + size[0]), slice(x, x + size[1])
    return {name: a[(*(slice(None),) * _ROWS[name], *part)] for name, a in example.items()}


def _mirrored(example: dict[str, Any]) -> dict[str, Any]:
    """Left and right change places."""
    sign = np.array([-1, 1], np.float32)
    out = {name: np.flip(a, _ROWS[name] + 1) for name, a in example.items()}
    return out | {name: out[name] * sign for name in ("flow", "guess") if name in out}


def _backwards(example: dict[str, Any]) -> dict[str, Any]:
    """The frames in the other order of time: the two directions of the guess change places."""
    out = {"frames": example["frames"][::-1]}
    if "guess" in example:
        out["guess"] = example["guess"][::-1, ::-1]
    return out


def with_guess(
    example: dict[str, Any], guide: Motion | None, clip: Clip | None = None
) -> dict[str, Any]:
    """Adds ``guess``: the guide's flows between neighbours, both ways.

    Args:
      example: with ``frames``.
      guide: a motion, or None, which adds nothing.
      clip: the same frames with their names, where they have any.
    """
    if guide is None:
        return example
    clip = clip_of(example["frames"]) if clip is None else clip
    earlier, later = range(clip.count - 1), range(1, clip.count)
    both = [guide(clip, later, earlier), guide(clip, earlier, later)]
    return {**example, "guess": np.nan_to_num(np.stack(both, axis=1)).astype(np.float32)}


def check_pair_options(options: MotionSampling) -> None:
    """Raises ``UserError`` for a ``mix`` that cannot be."""
    for text in options.mix:
        further_set(text, options)


def pair_examples(
    config: Config, source: VideoSource, multiple: int, guide: Motion | None
) -> PairExamples | CachedExamples:
    """Pairs of ``source``, of flying pieces of its frames, and of ``mix``.

    Raises:
      UserError: no true flow, or crops that are too small.
    """
    options = config.motion_training.sampling
    crop = _fitting(options.crop, options.crop, multiple)
    parts: list[tuple[FlowPairs, int]] = []
    chosen: list[MotionSampling] = []  # of each part
    if options.flying < 1:
        parts.append((flow_pairs(source), 1))
        chosen.append(options)
    for text in options.mix:
        further = further_set(text, options)
        parts.append((flow_pairs(open_source(further.spec)), further.count))
        chosen.append(further.options)
    if options.flying:
        size = (round(_BUILT * crop[0]), round(_BUILT * crop[1]))
        others = sum(len(pairs) * count for pairs, count in parts)
        share = options.flying
        count = max(1, round(others * share / (1 - share))) if share < 1 else 1000
        parts.append((FlyingPieces(source, size, count), 1))
        chosen.append(dataclasses.replace(options, sparse=False))
    larger = (crop[0] + multiple, crop[1] + multiple) if options.keep else crop
    augmentations = tuple(augmentation(own, larger) for own in chosen)
    examples = PairExamples(Mixture(parts), augmentations, guide)
    return CachedExamples(examples, options.keep, crop, config.seed) if options.keep else examples


def video_examples(
    config: Config, source: VideoSource, frames: int, multiple: int, guide: Motion | None
) -> VideoExamples:
    """All runs of ``frames`` neighbouring frames of a video.

    Raises:
      UserError: no sequence is that long, or the frames are too small.
    """
    runs, sizes = [], []
    for sequence in source.sequences:
        names = source.frame_names(sequence)
        runs += [(sequence, start) for start in range(len(names) - frames + 1)]
        if len(names) >= frames:
            sizes.append(source.frame(sequence, names[0]).shape[:2])
    if not runs:
        raise UserError(f"{source.name} has no sequence of {frames} frames to learn motion from.")
    smallest = tuple(int(n) for n in np.min(sizes, axis=0))
    crop = _fitting(config.motion_training.sampling.crop, smallest, multiple)
    return VideoExamples(source, runs, frames, crop, guide, reads_flow_files(config.motion))


def _fitting(wanted: tuple[int, int], size: tuple[int, ...], multiple: int) -> tuple[int, int]:
    """A crop within the frames, rounded down to the network's multiple."""
    height, width = (min(a, b) // multiple * multiple for a, b in zip(wanted, size, strict=True))
    if min(height, width) < multiple:
        raise UserError(
            f"frames or crops of {size[0]}x{size[1]} are too small: this network takes multiples "
            f"of {multiple} pixels; give larger frames or --config.motion_training.sampling.crop."
        )
    return height, width
