"""Object-contextual representations: every pixel is told about the object that it belongs to.

Reference: Yuan, Chen, Wang, "Object-Contextual Representations for Semantic Segmentation",
ECCV 2020, section 3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import ConvNorm


def object_regions(
    pixels: Float[Array, "b n f"], logits: Float[Array, "b n c"]
) -> Float[Array, "b c f"]:
    """Describes every class by the mean of the pixels in its soft object region.

    The soft object region of a class is the softmax of its coarse score over all pixels
    (equation 8 of the paper, ``f_k = Σ_i m̃_ki x_i``).

    Args:
      pixels: pixel representations.
      logits: coarse scores of the classes at the same pixels.
    """
    regions = jax.nn.softmax(logits, axis=1)
    return jnp.einsum("bnc,bnf->bcf", regions.astype(pixels.dtype), pixels)


class ObjectContext(nn.Module):
    """Pixel-region attention and fusion with the pixel's own representation.

    Attributes:
      features: channels of the OCR features.
      key_features: channels in which pixels and regions are compared.
      depth: layers that turn pixels into queries and regions into keys.
      dropout: probability that a channel of the OCR features is dropped in training, where
        ``apply`` is given an rng named ``dropout``.
    """

    features: int
    key_features: int
    depth: int = 1
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w f"], logits: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w g"]:
        """Gives the OCR features (equations 9-11 of the paper).

        Args:
          pixels: pixel representations.
          logits: coarse scores of the classes; no gradient flows through the attention into
            them other than through the regions.
          train: whether batch statistics are used and updated.
        """
        b, h, w, f = pixels.shape
        flat = pixels.reshape(b, h * w, f)
        regions = object_regions(flat, logits.reshape(b, h * w, -1))
        self.sow("intermediates", "regions", regions)
        regions = regions[:, :, None, :]  # pixels' rank, so that the same layers apply
        query, key = pixels, regions
        for k in range(self.depth):
            suffix = str(k + 1) if k else ""
            query = ConvNorm(self.key_features, kernel=1, name=f"query{suffix}")(query, train=train)
            key = ConvNorm(self.key_features, kernel=1, name=f"key{suffix}")(key, train=train)
        value = ConvNorm(self.key_features, kernel=1, name="value")(regions, train=train)
        score = jnp.einsum("bhwk,bck->bhwc", query, key[:, :, 0]) * self.key_features**-0.5
        attention = jax.nn.softmax(score.astype(jnp.float32)).astype(value.dtype)
        context = jnp.einsum("bhwc,bck->bhwk", attention, value[:, :, 0])
        context = ConvNorm(self.features, kernel=1, name="context")(context, train=train)
        both = jnp.concatenate([context, pixels], axis=-1)
        both = ConvNorm(self.features, kernel=1, name="fuse")(both, train=train)
        if not (train and self.dropout and self.has_rng("dropout")):
            return both
        return nn.Dropout(self.dropout, (1, 2), deterministic=False, name="dropout")(both)
