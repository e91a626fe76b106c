"""Training the paper's Ω through the chain: Ψ^R there and back, differentiated as a whole.

With ``unrolled`` Ω stands inside every step (eq. 8), and learns what its own results become
further on; else it stands once at the end (3.4). With ``learn_tau`` the indicator of eq. 6
becomes a sigmoid while training, and τ learns along.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from wrp_jax.config import Config
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.propagation.along_chains import mask_options
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.rollout import rollout
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.runs.refiner import LOG_TAU, take_tau
from wrp_jax.training.loop import TrainStep
from wrp_jax.training.refiner.examples.example_files import ExampleFiles
from wrp_jax.training.refiner.examples.generate import generate_examples
from wrp_jax.training.refiner.examples.training_data import TrainingData
from wrp_jax.training.refiner.pix2pix.chain_crops import ChainCrop, chain_examples, unpack_chain
from wrp_jax.training.refiner.pix2pix.loss import label_loss
from wrp_jax.training.refiner.setup import TrainingSetup
from wrp_jax.training.state import TrainState, apply_gradients
from wrp_jax.training.unroll import unroll_for_gradients
from wrp_jax.types import Cues

SOFTNESS = 0.1
"""Width of the sigmoid through which τ learns, in the units of τ."""


def unrolled_setup(
    config: Config,
    data: TrainingData,
    optimizer: optax.GradientTransformation,
    kept: ExampleFiles | None = None,
) -> TrainingSetup:
    """What the paper's Ω is trained with in the unrolled form.

    Raises:
      UserError: no example came out.
    """
    options = config.refiner
    network = build_refiner(options)
    generator = chain_examples(options.crops, 2 * options.max_cycle_length)
    examples = generate_examples(options, config.seed, data, generator, kept)
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
        jnp.asarray(data.class_weights),
        unrolled=options.unrolled,
    )
    return TrainingSetup(variables, examples, step)


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    mask: MaskOptions,
    class_weights: Float[Array, " c"],
    *,
    unrolled: bool = True,
) -> TrainStep:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``.

    Where the parameters hold log τ, τ of the mask is exchanged for it and learns; it is logged as
    ``tau``.
    """

    def train_step(
        class_weights: Array, state: TrainState, batch: ChainCrop, key: Array
    ) -> tuple[TrainState, dict]:
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
                # Ω at the end alone stands outside the loop.
                unroll=unrolled and unroll_for_gradients(),
                train=True,
            )

        (value, batch_stats), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        state = apply_gradients(
            state, gradients, optimizer, batch_stats=batch_stats, ema_decay=0.98
        )
        _, log_tau = take_tau(state.params)
        return state, {"loss": value} | ({} if log_tau is None else {"tau": jnp.exp(log_tau)})

    return Partial(train_step, class_weights)


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
      truth: label of the frame where the chain ends; None: L_t.
      unrolled: Ω inside every step (Ψ^R there and back) instead of once at the end; the
        gradient then passes through the whole chain.
      remat: recompute each step when differentiating instead of keeping its activations.
      unroll: steps per iteration of the scan; True unrolls it, False is 1.
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
