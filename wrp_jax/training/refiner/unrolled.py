"""Training the paper's Ω through the chain: Ψ^R there and back, differentiated as a whole.

With ``unrolled`` Ω stands inside every step (eq. 8), and learns what its own results become
further on; else it stands once at the end (3.4). With ``learn_tau`` the indicator of eq. 6
becomes a sigmoid while training, and τ learns along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from wrp_jax.config import Config
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.models.refine.pix2pix import STRIDE, on_code_grid
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.cues import ChainInputs, derive, lay_out
from wrp_jax.propagation.methods import mask_options
from wrp_jax.propagation.rollout import rollout
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.runs.refiner import LOG_TAU, take_tau
from wrp_jax.training.refiner.cycle import Cycle
from wrp_jax.training.refiner.examples import Course, Maker, Material, make_examples
from wrp_jax.training.refiner.pix2pix import (
    IGNORE,
    draw_part,
    label_loss,
    reach_crop,
    there_and_back,
)
from wrp_jax.training.refiner.simulated import SimulatedClip
from wrp_jax.training.state import TrainState, apply_gradients
from wrp_jax.types import ClipCues, Cues

CROP = 64
"""Side of a crop in pixels. What leaves it counts as having left the picture."""


SOFTNESS = 0.1
"""Width of the sigmoid through which τ learns, in the units of τ."""


class ChainCrop(NamedTuple):
    """One example, or a batch of them, batch in front: a chain of T steps over small pictures.

    Attributes:
      chain: ``cues.ChainInputs`` of one chain without its axis b; probabilities in 1/255, flows
        and features in half precision.
      label: uint8 ``[s, s]``, class indices of the frame where the chain starts.
      truth: uint8 ``[s, s]``, class indices of the frame where it ends, or ``IGNORE``.
    """

    chain: Any
    label: Any
    truth: Any


def unrolled_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> Course:
    """What the paper's Ω is trained with in the unrolled form.

    Raises:
      UserError: no example came out.
    """
    options = config.refiner
    network = build_refiner(options)
    examples = make_examples(
        options, config.seed, material, chain_maker(options.crops, 2 * options.max_cycle_length)
    )
    first = examples[0].chain
    variables = network.init(
        jax.random.key(config.seed),
        jnp.zeros(first.probs[:1].shape, jnp.float32),
        jnp.zeros(first.features[:1].shape, jnp.float32),
    )
    if options.learn_tau:
        log_tau = jnp.log(jnp.asarray(config.propagation.tau, jnp.float32))
        variables = {**variables, "params": {**variables["params"], LOG_TAU: log_tau}}
    step = make_train_step(
        network,
        optimizer,
        mask_options(config.propagation),
        jnp.asarray(material.class_weights),
        unrolled=options.unrolled,
    )
    return Course(variables, examples, step)


def chain_maker(crops: int, steps: int) -> Maker:
    """Crops of chains of at most ``steps`` steps: whole cycles, or simulated clips up to there.

    A cycle gives ``crops`` of them, and so does a simulated clip.
    """

    def simulated(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[ChainCrop]:
        last = min(steps, len(clip.frames) - 1)
        for _ in range(crops):
            end = int(rng.integers(1, last + 1))
            order = np.arange(end + 1)[None]
            ends = clip.labels[0], clip.labels[end]
            yield from chain_crops(rng, clip.cues, order, *ends, steps=steps, count=1)

    def cycle(rng: np.random.Generator, drawn: Cycle) -> Iterator[ChainCrop]:
        order, truth = there_and_back(drawn.out), drawn.truth
        return chain_crops(rng, drawn.cues, order, truth, truth, steps=steps, count=crops)

    return Maker(simulated, cycle, every_frame=True)


def chain_crops(
    rng: np.random.Generator,
    clip: ClipCues,
    order: Int[np.ndarray, "1 frames"],
    label: Int[np.ndarray, "h w"],
    truth: Int[np.ndarray, "h w"],
    *,
    steps: int,
    count: int,
) -> Iterator[ChainCrop]:
    """Cuts a chain out of the pictures.

    Args:
      rng: source of the positions.
      clip: cues, segmentation at every frame included; host arrays.
      order: frames visited.
      label: class indices of the first of them.
      truth: class indices of the last.
      steps: the chain is padded to so many, and stands still there.
      count: how many crops.
    """
    padding = np.repeat(order[:, -1:], steps + 1 - order.shape[1], axis=1)
    order = np.concatenate([order, padding], axis=1)
    num_classes = clip.probs.shape[-1]

    def index(labels: np.ndarray) -> np.ndarray:
        known = (labels >= 0) & (labels < num_classes)
        return reach_crop(np.where(known, labels, IGNORE).astype(np.uint8), CROP, IGNORE)

    def reach(array: np.ndarray, size: int) -> np.ndarray:
        return np.moveaxis(reach_crop(np.moveaxis(np.asarray(array), 0, 2), size), 2, 0)

    features = on_code_grid(jnp.asarray(clip.features), clip.frames.shape[1:3])
    whole = ClipCues(
        frames=reach(clip.frames, CROP),
        flow_backward=reach(clip.flow_backward, CROP),
        flow_forward=reach(clip.flow_forward, CROP),
        probs=reach(clip.probs, CROP),
        features=reach(np.asarray(features), CROP // STRIDE),
    )
    label, truth = index(label), index(truth)
    for _ in range(count):
        part, place = draw_part(rng, whole.frames.shape[1:], CROP)
        cut = jax.tree.map(lambda a, part=part: a[:, *part], whole)
        cut = cut._replace(features=whole.features[:, *place])
        chain = jax.tree.map(lambda a: a[:, 0], lay_out(cut, order))
        chain = chain._replace(
            flow=chain.flow.astype(np.float16),
            reverse=chain.reverse.astype(np.float16),
            probs=np.round(255 * chain.probs).astype(np.uint8),
            features=chain.features.astype(np.float16),
        )
        yield ChainCrop(chain, label[part], truth[part])


def unpack_chain(chain: ChainInputs) -> Cues:
    """Cues of a batch of ``ChainCrop.chain``, time in front, inside jit."""
    chain = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), chain)
    numbers = jax.tree.map(lambda a: a.astype(jnp.float32), chain)
    return derive(numbers._replace(frames=chain.frames, probs=numbers.probs / 255.0))


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    mask: MaskOptions,
    class_weights: Float[Array, " c"],
    *,
    unrolled: bool = True,
) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``.

    Where the parameters hold log τ, τ of the mask is exchanged for it and learns; it is logged as
    ``tau``.
    """

    def train_step(state: TrainState, batch: ChainCrop, key: Array) -> tuple[TrainState, dict]:
        del key  # all randomness is in the crops
        cues = unpack_chain(batch.chain)
        label, truth = batch.label.astype(jnp.int32), batch.truth.astype(jnp.int32)

        def loss(params: Any) -> tuple[Array, Any]:
            params, log_tau = take_tau(params)
            options = mask
            if log_tau is not None:
                options = mask._replace(tau=jnp.exp(log_tau), softness=SOFTNESS)
            return chain_loss(
                network,
                {"params": params, "batch_stats": state.batch_stats},
                cues,
                label,
                options,
                class_weights,
                truth=truth,
                unrolled=unrolled,
                remat=True,
                train=True,
            )

        (value, batch_stats), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        state = apply_gradients(
            state, gradients, optimizer, batch_stats=batch_stats, ema_decay=0.98
        )
        _, log_tau = take_tau(state.params)
        return state, {"loss": value} | ({} if log_tau is None else {"tau": jnp.exp(log_tau)})

    return train_step


def chain_loss(
    network: Network,
    variables: Any,
    cues: Cues,
    label: Int[Array, "b h w"],
    mask: MaskOptions,
    class_weights: Float[Array, " c"],
    *,
    truth: Int[Array, "b h w"] | None = None,
    unrolled: bool = False,
    remat: bool = False,
    unroll: int | bool = 1,
    train: bool = False,
) -> tuple[Float[Array, ""], Any]:
    """The cycle-consistency loss ``ℓ(L_t, Ω(L_t°))`` (paper, 3.4), and its like for open chains.

    Args:
      network: Ω.
      variables: its parameters and statistics.
      cues: along ``t … t±l … t``.
      label: L_t.
      mask: M of eq. 6; with a ``softness`` above 0 τ receives a gradient.
      class_weights: of the cross entropy.
      truth: label of the frame where the chain ends; L_t unless told.
      unrolled: Ω inside every step (Ψ^R there and back) instead of once at the end; the
        gradient then passes through the whole chain.
      remat: recompute each step when differentiating instead of keeping its activations.
      unroll: steps per iteration of the scan; True unrolls it.
      train: normalise by the statistics of the batch, and move the running ones along the chain.

    Returns:
      The loss; the new running statistics, or with ``train=False`` the old ones.
    """
    carrier = build_carrier("soft", cues.probs.shape[-1], dtype=cues.probs.dtype)

    def omega(stats: Any, probs: Array, features: Array) -> tuple[Array, Any]:
        both = {**variables, "batch_stats": stats}
        if train:
            return network.apply(both, probs, features, train=True)
        return network.apply(both, probs, features), stats

    def step(carry: tuple[Any, Any], now: Cues) -> tuple[tuple[Any, Any], None]:
        state, stats = carry
        moved = [stats]

        def refine(probs: Array, features: Array, cues: Cues) -> Array:
            logits, new = omega(stats, probs, features)
            moved.append(new)
            return jax.nn.softmax(logits, axis=-1)

        state, _ = make_step(carrier, mask, refine if unrolled else None)(state, now)
        return (state, moved[-1]), None

    start = carrier.init(label), variables.get("batch_stats", {})
    (state, stats), _ = rollout(step, start, cues, unroll=unroll, remat=remat)
    probs = carrier.probs(state)
    if unrolled:
        logits = jnp.log(jnp.maximum(probs, 1e-6))
    else:
        logits, stats = omega(stats, probs, cues.features[-1])
    return label_loss(logits, label if truth is None else truth, class_weights), stats
