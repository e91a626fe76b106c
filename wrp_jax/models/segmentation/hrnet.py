"""HRNetV2: branches at strides 4, 8, 16 and 32 side by side, exchanged over and over.

Reference: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition",
TPAMI 2020; NVIDIA/semantic-segmentation, ``network/hrnetv2.py`` (bilinear exchange; the ImageNet
code of the authors used nearest).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import BasicBlock, ConvNorm, relu
from wrp_jax.ops.resize import resize

STRIDE = 4
"""Pixels per feature, along each side."""
BLOCKS = 4
"""Residual blocks in ``layer1`` and per branch and module."""
MODULES = (1, 4, 3)
"""Multi-resolution modules of stages 2, 3 and 4; stage s has s branches."""

Branches = Sequence[Float[Array, "b _ _ _"]]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the channels, with a shortcut that is projected if it must be.

    Attributes:
      features: channels between the 1x1 convolutions.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w f"]:
        """Applies the block."""
        wide = 4 * self.features
        y = ConvNorm(self.features, kernel=1, name="conv1")(x, train=train)
        y = ConvNorm(self.features, name="conv2")(y, train=train)
        y = ConvNorm(wide, kernel=1, relu=False, name="conv3")(y, train=train)
        if x.shape[-1] != wide:
            x = ConvNorm(wide, kernel=1, relu=False, name="downsample")(x, train=train)
        return relu(x + y)


class Exchange(nn.Module):
    """One multi-resolution module: residual blocks on every branch, then everybody hears all.

    Attributes:
      widths: channels of the branches, the finest first.
      blocks: residual blocks per branch.
    """

    widths: tuple[int, ...]
    blocks: int = BLOCKS

    @nn.compact
    def __call__(self, branches: Branches, *, train: bool) -> list[Array]:
        """As many branches of the same shapes."""
        branches = list(branches)
        for b, width in enumerate(self.widths):
            for k in range(self.blocks):
                block = BasicBlock(width, name=f"branches_{b}_{k}")
                branches[b] = block(branches[b], train=train)
        return [self._fuse(branches, i, train) for i in range(len(branches))]

    def _fuse(self, branches: Branches, i: int, train: bool) -> Array:
        """Branch ``i`` and what all others say to it, added in their order."""
        height, width, _ = branches[i].shape[1:]
        heard = []
        for j, x in enumerate(branches):
            name = f"fuse_layers_{i}_{j}"
            if j > i:
                x = ConvNorm(self.widths[i], kernel=1, relu=False, name=name)(x, train=train)
                x = resize(x, (height, width))
            for k in range(i - j):
                last = k == i - j - 1
                features = self.widths[i if last else j]
                x = ConvNorm(features, strides=2, relu=not last, name=f"{name}_{k}")(x, train=train)
            heard.append(x)
        return relu(functools.reduce(jnp.add, heard))


class HighResolutionNet(nn.Module):
    """The backbone.

    Attributes:
      width: channels at stride 4; 48 is W48. Those of the other branches are 2, 4, 8 times it.
      remat: recompute each module's activations in the backward pass instead of keeping them.
      modules: multi-resolution modules per stage.
      blocks: residual blocks in a row.
    """

    width: int = 48
    remat: bool = False
    modules: tuple[int, int, int] = MODULES
    blocks: int = BLOCKS

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"], *, train: bool) -> Float[Array, "b fh fw f"]:
        """Features of all branches at stride 4: ``15 * width`` channels (720 for W48)."""
        run = rematerialised(self.remat, train)
        x = ConvNorm(64, strides=2, name="conv1")(x, train=train)
        x = ConvNorm(64, strides=2, name="conv2")(x, train=train)
        for k in range(self.blocks):
            x = run(Bottleneck(64, name=f"layer1_{k}"), x)
        w = self.width
        branches = [
            ConvNorm(w, name="transition1_0")(x, train=train),
            ConvNorm(2 * w, strides=2, name="transition1_1_0")(x, train=train),
        ]
        for stage, modules in enumerate(self.modules, start=2):
            if stage > 2:
                entry = f"transition{stage - 1}_{stage - 1}_0"
                layer = ConvNorm(2 ** (stage - 1) * w, strides=2, name=entry)
                branches.append(layer(branches[-1], train=train))
            widths = tuple(2**b * w for b in range(stage))
            for k in range(modules):
                module = Exchange(widths, self.blocks, name=f"stage{stage}_{k}")
                branches = run(module, branches)
        size = branches[0].shape[1:3]
        return jnp.concatenate([resize(x, (size[0], size[1])) for x in branches], axis=-1)


class Backbone(nn.Module):
    """The backbone at its place in the segmentation networks."""

    width: int = 48

    def setup(self):
        """One submodule."""
        self.backbone = HighResolutionNet(self.width)

    def __call__(self, x: Float[Array, "b h w 3"]) -> Float[Array, "b fh fw f"]:
        """Features at stride 4."""
        return self.backbone(x, train=False)


def rematerialised(remat: bool, train: bool) -> Callable[..., Any]:
    """``run(module, *inputs)``: applies a module, its inner activations kept or recomputed."""

    def run(module: nn.Module, *inputs: Any) -> Any:
        return module(*inputs, train=train)

    return nn.remat(run) if remat and train else run
