"""FlowNet2: five networks in a stack; what SDC-Net reads its flows from.

Reference: Ilg et al., "FlowNet 2.0: Evolution of Optical Flow Estimation with Deep Networks",
CVPR 2017; NVIDIA/flownet2-pytorch, ``models.py``.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.motion import flownet2_parts as parts
from wrp_jax.models.network import Network
from wrp_jax.ops.warp import warp

FLOW_SCALE = 20.0
"""Pixels per unit of a sub-network's output (FlowNetSD apart)."""
MULTIPLE = 64
"""Height and width must be multiples of this."""


def _enlarge(flow: Array, method: str) -> Array:
    """Four times the size: ``bilinear`` with half-pixel centres, or ``nearest``."""
    b, h, w, c = flow.shape
    return jax.image.resize(flow, (b, 4 * h, 4 * w, c), method)


def _length(x: Array) -> Array:
    """L2 norm over channels, kept as one channel; its gradient at zero is zero."""
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    safe = jnp.where(square > 0, square, 1.0)
    return jnp.where(square > 0, jnp.sqrt(safe), 0.0)


class FlowNet2(nn.Module):
    """The stack; see ``build_flownet2``."""

    @nn.compact
    def __call__(
        self, image1: Float[Array, "b h w 3"], image2: Float[Array, "b h w 3"]
    ) -> Float[Array, "b h w 2"]:
        """Flow on ``image1`` into ``image2``, in pixels."""
        _, height, width, _ = image1.shape
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"FlowNet2 takes sizes that are multiples of {MULTIPLE}, not {height}x{width}: pad "
                "the images (motion/padding.py)"
            )
        images = jnp.stack([image1, image2], axis=1).astype(jnp.float32)
        images = (images - images.mean(axis=(1, 2, 3), keepdims=True)) / 255
        first, second = images[:, 0], images[:, 1]
        pair = jnp.concatenate([first, second], axis=-1)

        flow2 = parts.FlowNetC(name="flownetc")(pair)
        self.sow("intermediates", "flow2_c", flow2)
        for k in (1, 2):
            flow = _enlarge(FLOW_SCALE * flow2, "bilinear")
            warped, _ = warp(second, flow)
            error = _length(first - warped)
            x = jnp.concatenate([pair, warped, flow / FLOW_SCALE, error], axis=-1)
            flow2 = parts.SubNetwork(parts.REFINING, name=f"flownets_{k}")(x)
            self.sow("intermediates", f"flow2_s{k}", flow2)
        large = _enlarge(FLOW_SCALE * flow2, "nearest")

        flow2 = parts.SubNetwork(parts.SMALL_MOTION, name="flownets_d")(pair)
        self.sow("intermediates", "flow2_sd", flow2)
        # Divided, not multiplied: the network for small displacements has its own scale.
        small = _enlarge(flow2 / FLOW_SCALE, "nearest")

        errors = [_length(first - warp(second, flow)[0]) for flow in (small, large)]
        x = jnp.concatenate([first, small, large, _length(small), _length(large), *errors], axis=-1)
        self.sow("intermediates", "fusion_input", x)
        return parts.SubNetwork(parts.FUSING, name="flownetfusion")(x)


def build_flownet2(*, precision: str | None = "highest") -> Network:
    """FlowNet2 (162 M parameters) as two pure functions.

    Args:
      precision: of float32 products (``jax.default_matmul_precision``); anything less is no
        longer equal to the published network on accelerators.

    Returns:
      ``init(key, image1, image2)`` and ``apply(variables, image1, image2)`` with images
      ``[b, h, w, 3]``, 0 … 255, sizes multiples of 64 (in the colour order of the weights:
      SDC-Net gives it BGR); gives ``[b, h, w, 2]`` in pixels on ``image1`` into ``image2``. No
      state: with ``train=True`` the second value is an empty dictionary.
    """
    module = FlowNet2()

    def init(key, *inputs):
        return {"params": module.init(key, *inputs)["params"]}

    def apply(variables, *inputs, train: bool = False, rngs=None):
        with jax.default_matmul_precision(precision):
            flow = module.apply(variables, *inputs, rngs=rngs)
        return (flow, {}) if train else flow

    return Network(init, apply)
