"""A small network that chooses between hypotheses, the same for every class.

Every class is scored from the votes it gets (``[.., n]`` per class), from what is known of the
class (``[.., m]``), and from features of the pixel that know nothing of classes; the scores
compete in a softmax. Weights are shared over classes, so the network fits any class map, cannot
learn what a class looks like, and commutes with a permutation of the classes. A class that no
hypothesis votes for cannot win.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.network import Network

NOT_A_CANDIDATE = -30.0
"""Logit of a class without votes: low enough to lose, finite so that gradients are too."""


class Chooser(nn.Module):
    """Scores of the classes.

    Attributes:
      width: channels of the pixel features.
      class_width: channels per class.
      class_convs: 3x3 convolutions over each class' map (class as batch); 0 scores each pixel
        by its own votes alone.
      threshold: smallest vote that makes a class a candidate.
    """

    width: int = 24
    class_width: int = 16
    class_convs: int = 2
    threshold: float = 0.02

    @nn.compact
    def __call__(
        self,
        votes: Float[Array, "b h w n c"],
        features: Float[Array, "b h w f"],
        class_features: Float[Array, "b h w m c"],
    ) -> Float[Array, "b h w c"]:
        """Logits; see ``build_chooser``."""
        b, h, w, n, c = votes.shape
        pixel = nn.relu(nn.Conv(self.width, (3, 3), name="pixel_0")(features))
        pixel = nn.relu(nn.Conv(self.width, (3, 3), kernel_dilation=(2, 2), name="pixel_1")(pixel))

        # Class becomes part of the batch: its map is an image of its own.
        def per_class(x: Array) -> Array:
            return jnp.moveaxis(x, -1, 1).reshape(b * c, h, w, x.shape[-2])

        by_class = per_class(votes)
        shared = nn.Dense(self.class_width, name="from_pixel")(pixel)
        told = jnp.concatenate([by_class, per_class(class_features)], axis=-1)
        x = nn.Dense(self.class_width, name="from_votes")(told)
        x = nn.relu(x + jnp.repeat(shared, c, axis=0))
        for i in range(self.class_convs):
            x = nn.Conv(
                self.class_width, (3, 3), kernel_dilation=(1 + i, 1 + i), name=f"class_{i}"
            )(x)
            x = nn.relu(x + jnp.repeat(nn.Dense(self.class_width, name=f"mix_{i}")(pixel), c, 0))
        score = nn.Dense(1, name="score")(x)
        # Where training ends early, the plain vote of all hypotheses shines through.
        plain = self.param("plain", nn.initializers.constant(1.0), (n,))
        score = score[..., 0] + by_class @ plain
        score = jnp.moveaxis(score.reshape(b, c, h, w), 1, -1)
        candidate = jnp.max(votes, axis=-2) > self.threshold
        return jnp.where(candidate, score, NOT_A_CANDIDATE)


def build_chooser(*, width: int = 24, class_width: int = 16, class_convs: int = 2) -> Network:
    """The chooser as a ``Network``.

    ``init(key, votes, features, class_features)``; ``apply(variables, votes, features,
    class_features, train=False)`` gives
    logits ``[b, h, w, c]``, and with ``train=True`` the pair ``(logits, {})``: it has no running
    statistics.
    """
    module = Chooser(width=width, class_width=class_width, class_convs=class_convs)

    def apply(variables, votes, features, class_features, *, train: bool = False, rngs=None):
        logits = module.apply(variables, votes, features, class_features, rngs=rngs)
        return (logits, {}) if train else logits

    return Network(jax.jit(module.init), apply)
