"""HRNet with an OCR head and, for hierarchical multi-scale attention, a head that weighs scales.

Reference: Tao, Sapra, Catanzaro, "Hierarchical Multi-Scale Attention for Semantic Segmentation",
2020 (MSA-HRNet-OCR, the g_ψ of Warp-Refine Propagation); NVIDIA/semantic-segmentation,
``network/ocrnet.py``. Equal to the published networks; the figures are in
``tests/models/segmentation/test_hrnet_ocr.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import Conv, ConvNorm, torch_default
from wrp_jax.models.segmentation.hrnet import (
    BLOCKS,
    MODULES,
    HighResolutionNet,
    rematerialised,
)
from wrp_jax.models.segmentation.ocr import ObjectContext
from wrp_jax.ops.resize import resize
from wrp_jax.types import SegmentationOutput

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's RGB, 0 … 1: what the published networks subtract and divide by."""


class OcrHead(nn.Module):
    """From backbone features to OCR features and coarse and final scores.

    Attributes:
      num_classes: scores per pixel.
    """

    num_classes: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "b h w 512"], Float[Array, "b h w k"], Float[Array, "b h w k"]]:
        """OCR features, logits and auxiliary logits; logits are float32."""
        pixels = ConvNorm(512, use_bias=True, name="conv3x3_ocr")(x, train=train)
        aux = ConvNorm(x.shape[-1], kernel=1, use_bias=True, name="aux_head_0")(x, train=train)
        aux = self._classifier("aux_head_2")(aux.astype(jnp.float32))
        context = ObjectContext(512, 256, depth=2, dropout=0.05, name="ocr_distri_head")
        features = context(pixels, aux, train=train)
        logits = self._classifier("cls_head")(features.astype(jnp.float32))
        return features, logits, aux

    def _classifier(self, name: str) -> Conv:
        return Conv(self.num_classes, 1, kernel_init=torch_default, name=name)


class AttentionHead(nn.Module):
    """How far a scale is to be trusted rather than the next finer one, for all classes alike."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w 1"]:
        """From OCR features, 0 … 1."""
        x = ConvNorm(256, name="conv0")(x, train=train)
        x = ConvNorm(256, name="conv1")(x, train=train)
        last = Conv(1, 1, use_bias=False, kernel_init=torch_default, name="conv2")
        return nn.sigmoid(last(x.astype(jnp.float32)))


class ScaleOutput(NamedTuple):
    """What the network says of one scale of the image, at stride 4.

    Attributes:
      features: OCR features.
      logits, aux: scores of the classes, main and auxiliary head.
      attention: 0 … 1; None where the network has no attention head.
    """

    features: Float[Array, "b h w 512"]
    logits: Float[Array, "b h w k"]
    aux: Float[Array, "b h w k"]
    attention: Float[Array, "b h w 1"] | None


class HrnetOcr(nn.Module):
    """HRNet-OCR; with ``attention``, HRNet-OCR with hierarchical multi-scale attention.

    Attributes:
      num_classes: scores per pixel.
      width: channels of the backbone at stride 4: 48 (published), 32, 18.
      attention: whether there is an attention head.
      scales: that the image is looked at in, 1 among them; several need the attention head.
      remat: recompute activations in the backward pass, module by module.
      dtype: of activations; logits, attention and statistics stay float32.
      modules, blocks: of the backbone, where it is not to be the published one.
    """

    num_classes: int
    width: int = 48
    attention: bool = False
    scales: tuple[float, ...] = (1.0,)
    remat: bool = False
    dtype: Any = jnp.float32
    modules: tuple[int, int, int] = MODULES
    blocks: int = BLOCKS

    def setup(self):
        """Submodules carry the published names."""
        self.backbone = HighResolutionNet(self.width, self.remat, self.modules, self.blocks)
        self.ocr = OcrHead(self.num_classes)
        if self.attention:
            self.scale_attn = AttentionHead()

    def one_scale(self, images: Float[Array, "b h w 3"], *, train: bool = False) -> ScaleOutput:
        """Looks at images, 0 … 1, once and as they are."""
        images = (images - jnp.asarray(MEAN)) / jnp.asarray(STD)
        run = rematerialised(self.remat, train)
        x = self.backbone(images.astype(self.dtype), train=train)
        features, logits, aux = run(self.ocr, x)
        attention = run(self.scale_attn, features) if self.attention else None
        return ScaleOutput(features, logits, aux, attention)

    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool = False
    ) -> SegmentationOutput:
        """Segments images, 0 … 1, of any size; logits at their size, features at stride 4."""
        size = images.shape[1:3]
        looks = {}
        for scale in sorted(self.scales):
            target = scaled_size(size, scale)
            looks[scale] = self.one_scale(resize(images, target), train=train)
        sizes = {scale: scaled_size(size, scale) for scale in looks}
        return combine(looks, sizes)


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, int]:
    """``(height, width)`` times ``scale``, rounded down, at least one pixel."""
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def combine(
    looks: dict[float, ScaleOutput], sizes: dict[float, tuple[int, int]]
) -> SegmentationOutput:
    """Hierarchical combination: every scale says how far it is trusted over the next finer one.

    From the largest scale down: scores are blended at the finer of the two sizes for scales of 1
    and more, and at the image's own size below it, where they are multiplied by the attention
    first and enlarged afterwards.

    Args:
      looks: by scale; 1 is among them.
      sizes: height and width in pixels that the image had at each scale.

    Returns:
      Logits, auxiliary logits and attention (of the smallest scale) at the image's size, features
      of scale 1, and the logits of every scale at the image's size.
    """
    blended, aux, attention = None, None, None
    by_scale = []
    for scale in sorted(looks, reverse=True):
        look, size = looks[scale], sizes[scale]
        logits, auxiliary = resize(look.logits, size), resize(look.aux, size)
        by_scale.append(resize(logits, sizes[1.0]))
        attention = None if look.attention is None else resize(look.attention, size)
        if blended is None or aux is None:
            blended, aux = logits, auxiliary
            continue
        if attention is None:
            raise ValueError("several scales need an attention head")
        logits, auxiliary = attention * logits, attention * auxiliary
        if scale < 1.0:
            size = sizes[1.0]
            attention = resize(attention, size)
            logits, auxiliary = resize(logits, size), resize(auxiliary, size)
        blended = logits + (1 - attention) * resize(blended, size)
        aux = auxiliary + (1 - attention) * resize(aux, size)
    assert blended is not None
    return SegmentationOutput(
        logits=blended,
        features=looks[1.0].features,
        aux_logits=aux,
        attention=attention,
        scale_logits=tuple(reversed(by_scale)),
    )
