"""Temperature of g_ψ: its logits are divided by T so that its confidence can be believed.

T is fitted on labelled frames that training never saw (`hold_out`); it changes no label, only
how sure g_ψ says it is, which thresholds (semantic-only, inpainting) and the refiner read.

Reference: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wrp_jax import interrupts
from wrp_jax.models.network import Network
from wrp_jax.ops.resize import resize

KEY = "temperature"
"""Name of T among the variables of g_ψ."""

FEWEST = 40
"""With fewer labelled frames to choose from none is held out, and T is 1."""

_RUN = 8  # neighbours in a list are often neighbours in time: they are held out together
_PIXELS = 4096  # of each picture
_RANGE = 0.25, 4.0


def hold_out(candidates: Sequence[int], share: float) -> list[int]:
    """Chooses what is kept out of training.

    Args:
      candidates: places of the labelled frames that may be chosen, in their order.
      share: of them, 0 … 1; whole runs of eight neighbours are taken, spread evenly.

    Returns:
      Places; none where there are fewer than `FEWEST` candidates or the share is 0.
    """
    if share <= 0 or len(candidates) < FEWEST:
        return []
    runs = [candidates[i : i + _RUN] for i in range(0, len(candidates), _RUN)]
    count = max(1, round(share * len(runs)))
    chosen = np.unique(np.round((np.arange(count) + 0.5) * len(runs) / count - 0.5).astype(int))
    return [place for run in chosen for place in runs[run]]


def fit_temperature(logits: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]) -> float:
    """The T in 0.25 … 4 with the least cross entropy of ``softmax(logits / T)``.

    The loss has one minimum in 1/T, which a golden-section search in log T finds.

    Args:
      logits: scores.
      labels: the true classes.
    """

    @jax.jit
    def loss(log_t: Array) -> Array:
        scores = jax.nn.log_softmax(jnp.asarray(logits, jnp.float32) / jnp.exp(log_t))
        return -jnp.take_along_axis(scores, jnp.asarray(labels)[:, None], axis=1).mean()

    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    low, high = np.log(_RANGE[0]), np.log(_RANGE[1])
    inner, outer = high - ratio * (high - low), low + ratio * (high - low)
    at_inner, at_outer = loss(inner), loss(outer)
    for _ in range(20):
        if at_inner < at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - ratio * (high - low)
            at_inner = loss(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + ratio * (high - low)
            at_outer = loss(outer)
    return float(np.exp(0.5 * (low + high)))


def measure_temperature(
    network: Network,
    variables: Any,
    frames: Iterable[tuple[np.ndarray, np.ndarray]],
    num_classes: int,
    seed: int,
) -> float:
    """Fits T on pictures with labels.

    Args:
      network: g_ψ, of temperature 1.
      variables: its own.
      frames: uint8 ``[h, w, 3]`` and class indices ``[h, w]``; labels outside the classes are
        left out.
      num_classes: number of classes.
      seed: of the choice of pixels, 4096 of each picture.
    """
    rng = np.random.default_rng(seed)

    @jax.jit
    def at(variables: Any, image: Array, places: Array) -> Array:
        output = network.apply(variables, image[None].astype(jnp.float32) / 255.0, train=False)
        size = image.shape[0], image.shape[1]
        full = resize(output.logits.astype(jnp.float32), size)[0]
        return full.reshape(-1, num_classes)[places]

    logits, labels = [], []
    for image, label in frames:
        interrupts.check()
        flat = label.ravel()
        places = rng.integers(flat.size, size=_PIXELS)
        places = places[(flat[places] >= 0) & (flat[places] < num_classes)]
        if len(places):
            filled = np.resize(places, _PIXELS)  # one shape, one program
            logits.append(np.asarray(at(variables, image, filled))[: len(places)])
            labels.append(flat[places])
    if not logits:
        return 1.0
    return fit_temperature(np.concatenate(logits), np.concatenate(labels).astype(np.int32))


def tempered(network: Network) -> Network:
    """The same network with its logits divided by the T among its variables, where there is one."""

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        own = {name: value for name, value in variables.items() if name != KEY}
        result = network.apply(own, images, train=train, rngs=rngs)
        if train or KEY not in variables:
            return result
        return result._replace(logits=result.logits / variables[KEY])

    return Network(network.init, apply)
