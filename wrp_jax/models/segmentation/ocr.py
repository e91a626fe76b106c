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
    return jnp.einsum("bnc,bnf->bcf", regions, pixels)


class ObjectContext(nn.Module):
    """Pixel-region attention and fusion with the pixel's own representation.

    Attributes:
      features: channels of the OCR features.
      key_features: channels in which pixels and regions are compared.
    """

    features: int
    key_features: int

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
        regions = regions[:, :, None, :]  # pixels' rank, so that the same layers apply
        query = ConvNorm(self.key_features, kernel=1, name="query")(pixels, train=train)
        key = ConvNorm(self.key_features, kernel=1, name="key")(regions, train=train)
        value = ConvNorm(self.key_features, kernel=1, name="value")(regions, train=train)
        score = jnp.einsum("bhwk,bck->bhwc", query, key[:, :, 0]) * self.key_features**-0.5
        context = jnp.einsum("bhwc,bck->bhwk", jax.nn.softmax(score), value[:, :, 0])
        context = ConvNorm(self.features, kernel=1, name="context")(context, train=train)
        both = jnp.concatenate([context, pixels], axis=-1)
        return ConvNorm(self.features, kernel=1, name="fuse")(both, train=train)
