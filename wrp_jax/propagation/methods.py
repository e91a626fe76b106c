"""The methods by name: every one turns a labelled frame and its window into labels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from wrp_jax.config import PropagationConfig
from wrp_jax.models.motion import Motion
from wrp_jax.propagation.carriers import Carrier, build_carrier
from wrp_jax.propagation.cues import Chain, Segment, clip_cues, derive, lay_out
from wrp_jax.propagation.rollout import rollout, rollout_chunked, window_orders
from wrp_jax.propagation.step import MaskOptions, Refine, image_step, make_step
from wrp_jax.types import UNLABELLED, ClassMap, ClipCues, UserError

_CHUNK_BYTES = 1 << 29  # cues of one chunk on the device


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


@dataclasses.dataclass(frozen=True)
class Window:
    """What a method is given.

    Attributes:
      frames: consecutive frames, RGB.
      cues_of: makes the cues of some of them.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      refine: Ω, or None.
      recursive: whether the next step starts from Ω's result (eq. 8).
      move_images: whether the image is to be moved along.
      given: cues of all frames, where they have been made already.
    """

    frames: UInt8[np.ndarray, "n h w 3"]
    cues_of: Callable[[np.ndarray], ClipCues]
    key_index: int
    key_label: Int[np.ndarray, "h w"]
    classes: ClassMap
    refine: Refine | None = None
    recursive: bool = True
    move_images: bool = False
    given: ClipCues | None = None

    @functools.cached_property
    def clip(self) -> ClipCues:
        """Cues of all frames; host arrays. Grows with the window."""
        return self.cues_of(self.frames) if self.given is None else self.given

    def chain(self, orders: Int[np.ndarray, "b frames"], labels_only: bool = False) -> Chain:
        """``lay_out`` of the cues of the frames that ``orders`` visit, and of no others."""
        visited = np.sum(np.ptp(orders, axis=1) + 1)
        if self.given is not None or visited > len(self.frames):
            return lay_out(_without_semantics(self.clip) if labels_only else self.clip, orders)
        parts = []
        for order in orders:
            first, last = order.min(), order.max()
            section = self.cues_of(self.frames[first : last + 1])
            parts.append(lay_out(section, order[None] - first))
        # Time leads and chains follow, in every field.
        return jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)

    def probs(self, start: int, stop: int) -> Float[np.ndarray, "n h w c"]:
        """What g_ψ says about some frames."""
        if self.given is not None:
            return np.asarray(self.given.probs[start:stop])
        return np.asarray(self.cues_of(self.frames[start:stop]).probs)


def _without_semantics(clip: ClipCues) -> ClipCues:
    return clip._replace(probs=clip.probs[..., :0], features=clip.features[..., :0])


class Method(NamedTuple):
    """A method.

    Attributes:
      run: ``run(config, window) -> Propagated``.
      segments: whether it reads g_ψ.
      refines: whether it needs Ω.
    """

    run: Callable[[PropagationConfig, Window], Propagated]
    segments: bool = False
    refines: bool = False


def _as_float(frames: np.ndarray) -> np.ndarray:
    return frames.astype(np.float32) / 255.0


# --- methods without motion ---------------------------------------------------------------


def _static(config: PropagationConfig, window: Window) -> Propagated:
    n = len(window.frames)
    labels = np.repeat(window.key_label[None].astype(np.int32), n, axis=0)
    images = None
    if window.move_images:
        images = np.repeat(_as_float(window.frames[window.key_index])[None], n, axis=0)
    return Propagated(labels, np.ones(labels.shape, np.float32), np.zeros_like(labels), images)


def _semantic(config: PropagationConfig, window: Window, threshold: bool) -> Propagated:
    chunk = max(1, config.horizon)
    decided = [
        (np.argmax(probs, axis=-1).astype(np.int32), np.max(probs, axis=-1).astype(np.float32))
        for probs in (
            window.probs(start, start + chunk) for start in range(0, len(window.frames), chunk)
        )
    ]
    labels, confidence = (np.concatenate(parts) for parts in zip(*decided, strict=True))
    if threshold:
        void = window.classes.void_index
        labels[confidence <= config.semantic_confidence] = UNLABELLED if void is None else void
    source = np.abs(np.arange(len(labels), dtype=np.int32) - window.key_index)
    source = np.broadcast_to(source[:, None, None], labels.shape).copy()
    labels[window.key_index] = window.key_label
    confidence[window.key_index] = 1.0
    return Propagated(labels, confidence, source)


# --- methods along chains -----------------------------------------------------------------


@functools.partial(jax.jit, static_argnames=("carrier", "mask", "recursive", "move_images"))
def _run_chunk(
    state: Any,
    chain: Chain,
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


def _along_chains(
    config: PropagationConfig, window: Window, *, inpaint: bool, refine: bool
) -> Propagated:
    key = window.key_index
    n, h, w, _ = window.frames.shape
    num_classes = window.classes.num_classes
    carrier = _carrier(config.carrier, num_classes, inpaint)
    # Padded to whole chunks of one length, so that one program serves windows of any length,
    # and memory on the device does not grow with it.
    step_bytes = 2 * h * w * (3 + 2 + 2 + 3 + 2 * num_classes * inpaint) * 4
    chunk = int(np.clip(_CHUNK_BYTES // step_bytes, 1, max(1, config.horizon)))
    longest = max(key, n - 1 - key)
    orders = window_orders(n, key, -(-longest // chunk) * chunk)

    labels = jnp.asarray(np.stack([window.key_label] * 2), jnp.int32)
    image = None
    if window.move_images:
        image = _as_float(np.stack([window.frames[key]] * 2)), jnp.zeros((2, h, w, 2))
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
        window.chain(orders[:, start : start + chunk + 1], labels_only=not inpaint)
        for start in range(0, orders.shape[1] - 1, chunk)
    )
    outputs = rollout_chunked(
        lambda state, chain: run(state, chain, omega), (carrier.init(labels), image), chunks
    )

    result = _static(config, window)
    sources, images = np.zeros_like(result.labels), result.images
    step, remembered = 0, True
    for reading, moved in outputs:
        for t in range(len(reading.labels)):
            step += 1
            for b, frame in enumerate((key + step, key - step)):
                if not 0 <= frame < n:
                    continue
                result.labels[frame] = reading.labels[t, b]
                result.confidence[frame] = reading.confidence[t, b]
                if reading.source is not None:
                    sources[frame] = reading.source[t, b]
                if images is not None:
                    images[frame] = moved[t, b]
        remembered = reading.source is not None
    return result._replace(source=sources if remembered else None)


_carrier = functools.lru_cache(maxsize=None)(
    lambda name, num_classes, inpaint: build_carrier(name, num_classes, inpaint=inpaint)
)


METHODS: dict[str, Method] = {
    "static": Method(_static),
    "motion-only": Method(functools.partial(_along_chains, inpaint=False, refine=False)),
    "semantic-only": Method(functools.partial(_semantic, threshold=True), segments=True),
    "semantic-argmax": Method(functools.partial(_semantic, threshold=False), segments=True),
    "warp-inpaint": Method(
        functools.partial(_along_chains, inpaint=True, refine=False), segments=True
    ),
    "warp-refine": Method(
        functools.partial(_along_chains, inpaint=True, refine=True), segments=True, refines=True
    ),
}
"""Methods by the name ``--method`` takes."""


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
    if method not in METHODS:
        raise UserError(f"--method={method} is unknown: use one of {', '.join(METHODS)}.")
    chosen = METHODS[method]
    if chosen.segments and segment is None and cues is None:
        raise UserError(f"--method={method} needs a trained segmentation network: give --workdir.")
    if chosen.refines and refine is None:
        raise UserError(f"--method={method} needs a trained refiner: give --workdir.")
    if chosen.segments and cues is not None and not cues.probs.shape[-1]:
        raise ValueError(f"{method} needs cues made with a segmentation network")
    section = functools.partial(
        clip_cues, motion=motion, segment=segment if chosen.segments else None
    )
    window = Window(
        frames, section, key_index, key_label, classes, refine, recursive, move_images, given=cues
    )
    return chosen.run(config, window)
