"""The methods by name: every one turns a labelled frame and its window into labels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from wrp_jax.config import PropagationConfig
from wrp_jax.ops.pixels import unit_range
from wrp_jax.propagation.carriers import Carrier, build_carrier
from wrp_jax.propagation.cues import ChainInputs, derive
from wrp_jax.propagation.rollout import rollout, rollout_chunked, window_orders
from wrp_jax.propagation.step import MaskOptions, Refine, image_step, make_step
from wrp_jax.propagation.window_cues import HeldCues, MadeCues, WindowCues, window_chain
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import UNLABELLED, ClassMap, ClipCues, Motion, Segment, UserError, clip_of

_CHUNK_BYTES = 1 << 29  # cues of one chunk on the device
_unit_range = jax.jit(unit_range)


class Propagated(NamedTuple):
    """Labels of a window.

    Attributes:
      labels: class indices, ``UNLABELLED`` where nothing is said; the labelled frame has its
        own label.
      confidence: 0 … 1; 1 on the labelled frame.
      source: 0 where the label comes from the labelled frame, else the number of steps from
        there at which segmentation put it in; None if not remembered.
      images: the labelled frame's image moved along (RGB, 0 … 1), or None.
    """

    labels: Int[np.ndarray, "n h w"]
    confidence: Float[np.ndarray, "n h w"]
    source: Int[np.ndarray, "n h w"] | None = None
    images: Float[np.ndarray, "n h w 3"] | None = None


class FrameLabels(NamedTuple):
    """Labels of one frame of a window; see ``Propagated``.

    Attributes:
      frame: which frame.
      labels, confidence, source, image: of it.
    """

    frame: int
    labels: Int[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    source: Int[np.ndarray, "h w"] | None = None
    image: Float[np.ndarray, "h w 3"] | None = None


@dataclasses.dataclass(frozen=True)
class Window:
    """What a method is given.

    Attributes:
      cues: of consecutive frames.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      refine: Ω, or None.
      recursive: whether the next step starts from Ω's result (eq. 8).
      move_images: whether the image is to be moved along.
    """

    cues: WindowCues
    key_index: int
    key_label: Int[np.ndarray, "h w"]
    classes: ClassMap
    refine: Refine | None = None
    recursive: bool = True
    move_images: bool = False

    def key_image(self) -> Float[np.ndarray, "h w 3"] | None:
        """The labelled frame's image, where images are moved along."""
        if not self.move_images:
            return None
        key = self.key_index
        return np.asarray(_unit_range(self.cues.clip.frame(key)))

    def key_frame(self) -> FrameLabels:
        """The labelled frame's own label."""
        label = self.key_label.astype(np.int32)
        sure, source = np.ones(label.shape, np.float32), np.zeros_like(label)
        return FrameLabels(self.key_index, label, sure, source, self.key_image())


class Method(NamedTuple):
    """A method.

    Attributes:
      run: ``run(config, window)`` labels every frame of the window once, in any order.
      segments: whether it reads g_ψ.
      refines: whether it needs Ω.
    """

    run: Callable[[PropagationConfig, Window], Iterator[FrameLabels]]
    segments: bool = False
    refines: bool = False


# --- methods without motion ---------------------------------------------------------------


def _static(config: PropagationConfig, window: Window) -> Iterator[FrameLabels]:
    label = window.key_frame()
    for frame in range(window.cues.count):
        yield label._replace(frame=frame)


def _semantic(config: PropagationConfig, window: Window, threshold: bool) -> Iterator[FrameLabels]:
    void = window.classes.void_index
    count, at_once = window.cues.count, frames_at_once(*window.key_label.shape)
    for start in range(0, count, at_once):
        for frame, probs in enumerate(
            window.cues.section(start, min(start + at_once, count)).probs, start
        ):
            if frame == window.key_index:
                yield window.key_frame()._replace(image=None)
                continue
            labels = np.argmax(probs, axis=-1).astype(np.int32)
            confidence = np.max(probs, axis=-1).astype(np.float32)
            if threshold:
                unsure = confidence <= config.semantic_confidence
                labels[unsure] = UNLABELLED if void is None else void
            source = np.full(labels.shape, abs(frame - window.key_index), np.int32)
            yield FrameLabels(frame, labels, confidence, source)


# --- methods along chains -----------------------------------------------------------------


@functools.partial(jax.jit, static_argnames=("carrier", "mask", "recursive", "move_images"))
def _run_chunk(
    state: Any,
    chain: ChainInputs,
    refine: Any,
    *,
    carrier: Carrier,
    mask: MaskOptions | None,
    recursive: bool,
    move_images: bool,
) -> tuple[Any, Any]:
    label_step = make_step(carrier, mask, refine, recursive=recursive)

    def step(state: Any, cues: Any) -> tuple[Any, Any]:
        labels, reading = label_step(state[0], cues)
        if not move_images:
            return (labels, None), (reading, None)
        image, moved = image_step(state[1], cues)
        return (labels, image), (reading, moved)

    return rollout(step, state, derive(chain))


def mask_options(config: PropagationConfig) -> MaskOptions:
    """The mask that the options name.

    Raises:
      UserError: there is no mask of that name.
    """
    if config.mask == "paper":
        return MaskOptions(config.tau)
    if config.mask == "consistent":
        return MaskOptions(config.tau, config.consistency_pixels, config.inpaint_confidence)
    raise UserError(
        f"config.propagation.mask={config.mask!r} is unknown: use one of paper, consistent."
    )


def check_options(config: PropagationConfig) -> None:
    """Refuses names that are none, before anything is written.

    Raises:
      UserError: there is no such carrier or mask.
    """
    mask_options(config)
    build_carrier(config.carrier, num_classes=2)


def _in_both_directions(
    config: PropagationConfig, window: Window, *, inpaint: bool, refine: bool
) -> Iterator[FrameLabels]:
    key, n = window.key_index, window.cues.count
    h, w = window.key_label.shape
    num_classes = window.classes.num_classes
    carrier = build_carrier(config.carrier, num_classes, inpaint=inpaint)
    # Padded to whole chunks of one length, so that one program serves windows of any length,
    # and memory on the device does not grow with it.
    step_bytes = 2 * h * w * (3 + 2 + 2 + 3 + 2 * num_classes * inpaint) * 4
    chunk = int(np.clip(_CHUNK_BYTES // step_bytes, 1, max(1, config.horizon)))
    longest = max(key, n - 1 - key)
    orders = window_orders(n, key, -(-longest // chunk) * chunk)

    labels = jnp.asarray(np.stack([window.key_label] * 2), jnp.int32)
    own = window.key_frame()
    image = None
    if own.image is not None:
        image = np.stack([own.image] * 2), jnp.zeros((2, h, w, 2))
    run = functools.partial(
        _run_chunk,
        carrier=carrier,
        mask=mask_options(config) if inpaint else None,
        recursive=window.recursive,
        move_images=window.move_images,
    )
    omega = window.refine if refine else None
    if omega is not None and not isinstance(omega, jax.tree_util.Partial):
        omega = jax.tree_util.Partial(omega)
    chunks = (
        window_chain(window.cues, orders[:, start : start + chunk + 1], semantics=inpaint)
        for start in range(0, orders.shape[1] - 1, chunk)
    )
    outputs = rollout_chunked(
        lambda state, chain: run(state, chain, omega), (carrier.init(labels), image), chunks
    )

    yield own
    step = 0
    for reading, moved in outputs:
        for t in range(len(reading.labels)):
            step += 1
            for b, frame in enumerate((key + step, key - step)):
                if not 0 <= frame < n:
                    continue
                yield FrameLabels(
                    frame,
                    reading.labels[t, b],
                    reading.confidence[t, b],
                    None if reading.source is None else reading.source[t, b],
                    None if moved is None else moved[t, b],
                )


METHODS: dict[str, Method] = {
    "static": Method(_static),
    "motion-only": Method(functools.partial(_in_both_directions, inpaint=False, refine=False)),
    "semantic-only": Method(functools.partial(_semantic, threshold=True), segments=True),
    "semantic-argmax": Method(functools.partial(_semantic, threshold=False), segments=True),
    "warp-inpaint": Method(
        functools.partial(_in_both_directions, inpaint=True, refine=False), segments=True
    ),
    "warp-refine": Method(
        functools.partial(_in_both_directions, inpaint=True, refine=True),
        segments=True,
        refines=True,
    ),
}
"""Methods by the name ``--method`` takes."""


def label_frames(
    method: str,
    config: PropagationConfig,
    cues: WindowCues,
    key_index: int,
    key_label: Int[np.ndarray, "h w"],
    classes: ClassMap,
    refine: Refine | None = None,
    *,
    recursive: bool = True,
    move_images: bool = False,
) -> Iterator[FrameLabels]:
    """Labels every frame of a window from its one labelled frame; memory does not grow with it.

    Args:
      method: a key of ``METHODS``.
      config: the options of propagation.
      cues: of the window.
      key_index: which of its frames is labelled.
      key_label: its class indices.
      classes: of the data set.
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      move_images: also move the labelled frame's image along (joint propagation).

    Returns:
      Every frame once, the labelled one with its own label; nearer frames come first where
      labels travel.

    Raises:
      UserError: the method is unknown, or lacks Ω.
    """
    if method not in METHODS:
        raise UserError(f"--method={method} is unknown: use one of {', '.join(METHODS)}.")
    if METHODS[method].refines and refine is None:
        raise UserError(f"--method={method} needs a trained refiner: give --workdir.")
    window = Window(cues, key_index, key_label, classes, refine, recursive, move_images)
    return METHODS[method].run(config, window)


def propagate_window(
    method: str,
    config: PropagationConfig,
    frames: UInt8[np.ndarray, "n h w 3"],
    key_index: int,
    key_label: Int[np.ndarray, "h w"],
    classes: ClassMap,
    motion: Motion,
    segment: Segment | None = None,
    refine: Refine | None = None,
    *,
    recursive: bool = True,
    cues: ClipCues | None = None,
    move_images: bool = False,
) -> Propagated:
    """Labels every frame of a window from its one labelled frame.

    Args:
      method: a key of ``METHODS``.
      config: the options of propagation.
      frames: consecutive frames, RGB.
      key_index: which of them is labelled.
      key_label: its class indices.
      classes: of the data set.
      motion: f_θ.
      segment: g_ψ, bound to its variables (``functools.partial(segment_clip, net, variables)``).
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      cues: ``clip_cues`` of the same frames, to share them between methods; without, cues are
        made piece by piece, and memory beyond the result does not grow with the window.
      move_images: also move the labelled frame's image along (joint propagation).

    Raises:
      UserError: the method is unknown, or lacks its networks.
    """
    segments = method in METHODS and METHODS[method].segments
    if segments and segment is None and cues is None:
        raise UserError(f"--method={method} needs a trained segmentation network: give --workdir.")
    if segments and cues is not None and not cues.probs.shape[-1]:
        raise ValueError(f"{method} needs cues made with a segmentation network")
    made = MadeCues(clip_of(frames), motion, segment if segments else None)
    given = made if cues is None else HeldCues(cues)
    arguments = (config, given, key_index, key_label, classes, refine)
    frame_labels = label_frames(method, *arguments, recursive=recursive, move_images=move_images)
    return collect(len(frames), frame_labels)


def collect(count: int, frames: Iterable[FrameLabels]) -> Propagated:
    """All frames of a window in one array; grows with it."""
    ordered: list[FrameLabels | None] = [None] * count
    for labels in frames:
        ordered[labels.frame] = labels
    complete = [labels for labels in ordered if labels is not None]

    def stack(arrays: list[np.ndarray | None]) -> np.ndarray | None:
        there = [array for array in arrays if array is not None]
        return np.stack(there) if len(there) == count else None

    return Propagated(
        np.stack([frame.labels for frame in complete]),
        np.stack([frame.confidence for frame in complete]),
        stack([frame.source for frame in complete]),
        stack([frame.image for frame in complete]),
    )
