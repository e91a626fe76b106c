"""A small network that chooses between hypotheses, the same for every class.

Every class is scored from the votes it gets (``[.., n]`` per class), from what is known of the
class (``[.., m]``), and from features of the pixel that know nothing of classes; the scores
compete in a softmax. Weights are shared over classes, so the network fits any class map, cannot
learn what a class looks like, and commutes with a permutation of the classes. A class that no
hypothesis votes for cannot win.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.network import Network

NOT_A_CANDIDATE = -30.0
"""Logit of a class without votes: low enough to lose, finite so that gradients are too."""

CANDIDATE = 0.02
"""Smallest vote that makes a class a candidate."""


PIXEL_REACH = 3
"""Pixels around one that what is said of it without regard to classes depends on."""


def class_reach(variables: Any) -> int:
    """Pixels around one that the score of a class depends on, in its map."""
    convs = sum(name.startswith("class_") for name in variables["params"])
    return sum(range(1, convs + 1))


class Chooser(nn.Module):
    """Scores of the classes.

    Attributes:
      width: channels of the pixel features.
      class_width: channels per class.
      class_convs: 3x3 convolutions over each class' map (class as batch); 0 scores each pixel
        by its own votes alone.
    """

    width: int = 24
    class_width: int = 16
    class_convs: int = 2

    @nn.compact
    def __call__(self, *inputs: Array, part: str = "all") -> Array:
        """Logits, or one of the two parts that they are made of; see ``build_chooser``."""
        if part == "pixels":
            return self._pixels(*inputs)
        if part == "classes":
            return self._classes(*inputs)
        votes, features, class_features = inputs
        b, h, w, _, c = votes.shape

        # Class becomes part of the batch: its map is an image of its own.
        def per_class(x: Array) -> Array:
            return jnp.moveaxis(x, -1, 1).reshape(b * c, h, w, x.shape[-2])

        pixels = jnp.repeat(self._pixels(features), c, axis=0)
        score = self._classes(per_class(votes), per_class(class_features), pixels)
        score = jnp.moveaxis(score.reshape(b, c, h, w), 1, -1)
        candidate = jnp.max(votes, axis=-2) > CANDIDATE
        return jnp.where(candidate, score, NOT_A_CANDIDATE)

    def _pixels(self, features: Float[Array, "b h w f"]) -> Float[Array, "b h w p"]:
        pixel = nn.relu(nn.Conv(self.width, (3, 3), name="pixel_0")(features))
        pixel = nn.relu(nn.Conv(self.width, (3, 3), kernel_dilation=(2, 2), name="pixel_1")(pixel))
        names = "from_pixel", *(f"mix_{i}" for i in range(self.class_convs))
        layers = [nn.Dense(self.class_width, name=name)(pixel) for name in names]
        return jnp.concatenate(layers, axis=-1)

    def _classes(
        self,
        votes: Float[Array, "m h w n"],
        known: Float[Array, "m h w k"],
        pixels: Float[Array, "m h w p"],
    ) -> Float[Array, "m h w"]:
        layers = jnp.split(pixels, 1 + self.class_convs, axis=-1)
        told = jnp.concatenate([votes, known], axis=-1)
        x = nn.relu(nn.Dense(self.class_width, name="from_votes")(told) + layers[0])
        for i, layer in enumerate(layers[1:]):
            dilation = (1 + i, 1 + i)
            x = nn.Conv(self.class_width, (3, 3), kernel_dilation=dilation, name=f"class_{i}")(x)
            x = nn.relu(x + layer)
        # Where training ends early, the plain vote of all hypotheses shines through.
        plain = self.param("plain", nn.initializers.constant(1.0), votes.shape[-1:])
        return nn.Dense(1, name="score")(x)[..., 0] + votes @ plain


def build_chooser(*, width: int = 24, class_width: int = 16, class_convs: int = 2) -> Network:
    """The chooser as a ``Network``.

    ``init(key, votes, features, class_features)``; ``apply(variables, votes, features,
    class_features, train=False)`` of ``[b, h, w, n, c]``, ``[b, h, w, f]`` and ``[b, h, w, k, c]``
    gives logits ``[b, h, w, c]``, and with ``train=True`` the pair ``(logits, {})``: it has no
    running statistics.

    Few classes are candidates anywhere near a pixel. So its parts can be asked one by one:
    ``apply(variables, features, part="pixels")`` gives ``[b, h, w, p]``, what is added to the map
    of every class; ``apply(variables, votes [m, h, w, n], known [m, h, w, k], pixels [m, h, w, p],
    part="classes")`` gives the logits ``[m, h, w]`` of one class in each of m pictures, whether it
    is a candidate or not.
    """
    module = Chooser(width=width, class_width=class_width, class_convs=class_convs)

    def apply(variables, *inputs, train: bool = False, part: str = "all", rngs=None):
        logits = module.apply(variables, *inputs, part=part, rngs=rngs)
        return (logits, {}) if train else logits

    return Network(jax.jit(module.init), apply)
