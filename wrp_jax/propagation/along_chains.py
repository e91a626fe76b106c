"""Labels a window along its two chains of steps (eq. 3-8): Ψ^W, and Ψ^R with the paper's Ω."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.config import PropagationConfig
from wrp_jax.ops.pixels import unit_range
from wrp_jax.ops.warp import Extent
from wrp_jax.propagation.carriers import ANCHORED, EVERY, Carrier, Reading, make_carrier
from wrp_jax.propagation.cues import ChainInputs, derive
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction, Posterior
from wrp_jax.propagation.rollout import rollout, rollout_chunked
from wrp_jax.propagation.step import MaskOptions, Refine, image_step, make_step, trust_step
from wrp_jax.propagation.window_cues import window_chain
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import Cues, UserError

CHUNK_BYTES = 1 << 26
"""Cues of one chunk on the device. The allocator keeps arrays of this size for the next chunk; the
pages of larger ones are cleared by the system every time, which took a tenth of motion-only."""
BUCKET = 32
"""Frames are filled up to multiples of this, and sizes that become one share their programs."""


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


class _State(NamedTuple):
    """What is carried: labels, and on request the image and how far pixels were followed."""

    labels: Any
    image: Any = None
    followed: Any = None


class _Said(NamedTuple):
    """What a step says of its frame."""

    reading: Reading
    moved: Any = None
    followed: Any = None


class _Carried(NamedTuple):
    """Arguments of ``make_carrier``, hashable."""

    name: str
    num_classes: int
    inpaint: bool

    def carrier(self, extent: Extent = None) -> Carrier:
        return make_carrier(self.name, self.num_classes, inpaint=self.inpaint, extent=extent)


@functools.partial(jax.jit, static_argnames="carried")
def _start(labels: Any, frames: Any, carried: _Carried) -> Any:
    init = carried.carrier().init
    return init(labels) if frames is None else init(labels, unit_range(frames))


def _direct_flows(
    window: LabelledWindow, orders: Int[np.ndarray, "b frames"], first: int, last: int
) -> Float[np.ndarray, "t b h w 2"]:
    """Flows of the steps ``first`` to ``last - 1`` straight into the labelled frames.

    One of ``EVERY`` steps has them, as long as its chain walks; the others are NaN. As many are
    made together as of neighbours.
    """
    flows = np.full((last - first, len(orders), *window.size, 2), np.nan, np.float32)
    at_once = frames_at_once(*window.size)
    for b, order in enumerate(orders):
        walks = np.flatnonzero(order[first + 1 : last + 1] != order[first:last])
        walks = walks[(first + 1 + walks) % EVERY == 0]
        for start in range(0, len(walks), at_once):
            steps = walks[start : start + at_once]
            seen = order[first + 1 + steps]
            flows[steps, b] = window.motion(window.cues.clip, seen, np.full_like(seen, order[0]))
    return flows


@functools.partial(
    jax.jit, static_argnames=("carried", "mask", "recursive", "consistency_pixels", "shared")
)
def _run_chunk(
    state: _State,
    chain: ChainInputs,
    refine: Any,
    extent: Extent,
    tau: Any,
    *,
    carried: _Carried,
    mask: MaskOptions | None,
    recursive: bool,
    consistency_pixels: float,
    shared: bool,
) -> tuple[_State, _Said]:
    if mask is not None:
        mask = mask._replace(tau=tau)
    carrier = carried.carrier(extent)
    label_step = make_step(carrier, mask, refine, recursive=recursive, with_probs=shared)

    def step(state: _State, cues: Cues) -> tuple[_State, _Said]:
        labels, reading = label_step(state.labels, cues)
        image = moved = followed = trust = None
        if state.image is not None:
            along = None if carrier.flow is None else carrier.flow(labels)
            image, moved = image_step(state.image, cues, extent, along)
        if state.followed is not None:
            followed = trust_step(state.followed, cues, consistency_pixels, extent)
            trust = followed.astype(jnp.float16)
        return _State(labels, image, followed), _Said(reading, moved, trust)

    return rollout(step, state, derive(chain, extent))


def along_chains(
    config: PropagationConfig,
    window: LabelledWindow,
    *,
    inpaint: bool,
    refine: Refine | None = None,
    recursive: bool = True,
    move_images: bool = False,
    follow: bool = False,
) -> Iterator[FramePrediction]:
    """Labels a window by the recursion of the paper, both directions of time as one batch.

    Args:
      config: the options of propagation.
      window: what is labelled.
      inpaint: whether g_ψ takes over where motion is not trusted (eq. 5), or labels only move.
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      move_images: also move the labelled frame's image along (joint propagation).
      follow: of one labelled frame, too, say how far motion could follow each pixel from there.

    Yields:
      Labelled frames first with their own label; then every frame once from each labelled frame
      within reach, nearer frames first, with a posterior where there are several.
    """
    shared = window.shared
    h, w = window.size
    num_classes = window.classes.num_classes
    carried = _Carried(config.carrier, num_classes, inpaint)
    # Ω sees beyond the frame: it would take what fills it up for a part of it.
    height, width = (-(-side // BUCKET) * BUCKET for side in (h, w)) if refine is None else (h, w)
    # Padded to whole chunks of one length, so that one program serves windows of any length,
    # and memory on the device does not grow with it.
    anchors = config.carrier == ANCHORED
    channels = 3 + 2 + 2 + 3 + 2 + 2 * anchors + num_classes * (2 * inpaint + shared)
    step_bytes = 2 * height * width * channels * 4
    both_flows = inpaint or shared or follow
    # Flows of one direction are made for a chunk at a time: as many as are made together.
    least = 1 if both_flows else frames_at_once(h, w)
    chunk = min(max(CHUNK_BYTES // step_bytes, least), max(1, config.horizon))
    longest = window.orders().shape[1] - 1
    orders = window.orders(-(-longest // chunk) * chunk)

    def filled(array: np.ndarray) -> np.ndarray:
        return np.pad(
            array, ((0, 0), (0, height - h), (0, width - w), *[(0, 0)] * (array.ndim - 3))
        )

    labels = filled(np.stack([key.label for key in window.starts]).astype(np.int32))
    image = frames = None
    if anchors:
        at = [key.index for key in window.starts]
        own = [window.cues.section(i, i + 1, semantics=False, flows=()).frames for i in at]
        frames = filled(np.concatenate(own))
    if move_images:
        images = filled(np.stack([window.key_image(key) for key in window.starts]))
        image = images, np.zeros((2, height, width, 2), np.float32)
    # Where g_ψ takes over, the distribution itself says how sure a side is.
    shape = 2, height, width
    followed = np.ones(shape, np.float32) if follow or (shared and not inpaint) else None
    run = functools.partial(
        _run_chunk,
        carried=carried,
        # τ is an argument of the program, so that one program serves all.
        mask=mask_options(config)._replace(tau=0.0) if inpaint else None,
        recursive=recursive,
        consistency_pixels=config.consistency_pixels,
        shared=shared,
    )
    if refine is not None and not isinstance(refine, jax.tree_util.Partial):
        refine = jax.tree_util.Partial(refine)

    def chunks() -> Iterator[ChainInputs]:
        for start in range(0, orders.shape[1] - 1, chunk):
            chain = window_chain(
                window.cues,
                orders[:, start : start + chunk + 1],
                semantics=inpaint,
                reverse=both_flows,
                size=(height, width),
            )
            if refine is None:  # nobody reads features, whose size is the network's own
                chain = chain._replace(features=chain.features[:, :, :1, :1, :0])
            if anchors:
                last = min(start + chunk, orders.shape[1] - 1)
                direct = _direct_flows(window, orders, start, last)
                sides = [(0, 0), (0, 0), (0, height - h), (0, width - w), (0, 0)]
                # Not a number beside the frame, too: a step compares flows if any is finite.
                chain = chain._replace(direct=np.pad(direct, sides, constant_values=np.nan))
            yield chain

    extent = (np.int32(h), np.int32(w)) if refine is None else None
    outputs = rollout_chunked(
        lambda state, chain: run(state, chain, refine, extent, np.float32(config.tau)),
        _State(_start(labels, frames, carried), image, followed),
        chunks(),
    )

    for key in window.keys:
        own = window.key_frame(key)
        yield own._replace(image=window.key_image(key)) if move_images else own
    if (orders[:, :1] == orders).all():
        return
    classes, step = np.arange(num_classes, dtype=np.int32), 0
    for output in outputs:
        reading, moved, trust = jax.tree.map(lambda x: x[:, :, :h, :w], output)
        for t in range(len(reading.labels)):
            step += 1
            for b, key in enumerate(window.starts):
                frame = int(orders[b, step])
                if frame == orders[b, step - 1]:
                    continue  # the chain has reached its end
                sure = None if trust is None else trust[t, b]
                yield FramePrediction(
                    frame,
                    reading.labels[t, b],
                    reading.confidence[t, b],
                    None if reading.source is None else reading.source[t, b],
                    None if moved is None else moved[t, b],
                    key.index,
                    Posterior(reading.probs[t, b], classes, sure) if shared else None,
                    sure if follow else None,
                )


@dataclasses.dataclass(frozen=True)
class StepRefiner:
    """The paper's Ω: it mends the labels of Ψ^W in every step (eq. 8).

    Attributes:
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      tau: τ of eq. 6 that was learnt along with Ω; None: that of the options.
    """

    refine: Refine
    recursive: bool = True
    tau: float | None = None

    def label(self, config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
        """See ``methods.Refiner``."""
        if self.tau is not None:
            config = dataclasses.replace(config, tau=self.tau)
        return along_chains(
            config, window, inpaint=True, refine=self.refine, recursive=self.recursive
        )
