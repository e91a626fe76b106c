"""SDC-Net: the displacement that reconstructs (or predicts) a video frame from the one before.

The release with label propagation predicts a flow field only, no adaptive kernels. In *video
reconstruction* the network sees the frame it is to reproduce; in *video prediction* it does not.

Reference: Zhu et al., "Improving Semantic Segmentation via Video Propagation and Label
Relaxation", CVPR 2019, section 3.1; Reda et al., "SDC-Net", ECCV 2018;
NVIDIA/semantic-segmentation (branch sdcnet), ``sdcnet/models/sdc_net2d.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.motion.layers import Conv, ConvLeaky
from wrp_jax.models.network import Network

FLOW_MEAN = (-0.94427323, -1.23077035)
FLOW_STD = (13.77204132, 7.47463894)
"""Of ``(dx, dy)``, in pixels, over the release's training videos."""
MULTIPLE = 64
"""Height and width must be multiples of this."""

FlowSource = Callable[[Array, Array], Array]
"""``(target [b, h, w, 3], source [b, h, w, 3]) -> [b, h, w, 2]``: on target, into source."""

_ENCODER = (
    # name, features, kernel, stride
    ("conv1", 32, 7, 2),
    ("conv2", 64, 5, 2),
    ("conv3", 128, 5, 2),
    ("conv3_1", 128, 3, 1),
    ("conv4", 256, 3, 2),
    ("conv4_1", 256, 3, 1),
    ("conv5", 256, 3, 2),
    ("conv5_1", 256, 3, 1),
    ("conv6", 512, 3, 2),
    ("conv6_1", 512, 3, 1),
)
_DECODER = (
    # name, features, the encoder's output it is joined with
    ("deconv5", 256, "conv5_1"),
    ("deconv4", 128, "conv4_1"),
    ("deconv3", 64, "conv3_1"),
    ("deconv2", 32, "conv2"),
    ("deconv1", 16, "conv1"),
    ("deconv0", 8, "input"),
)


def network_input(
    frames: Float[Array, "b t h w 3"], flows: Float[Array, "b t-1 h w 2"]
) -> Float[Array, "b h w 5*t-2"]:
    """Normalises frames and flows and interleaves them by component: ``[x1 x2 y1 y2 b1 b2 …]``."""
    b, t, h, w, _ = frames.shape
    mean, std = jnp.asarray(FLOW_MEAN), jnp.asarray(FLOW_STD)
    flows = (flows - mean) / (3 * std)
    frames = (frames - frames.mean(axis=(1, 2, 3), keepdims=True)) / 255
    flows = jnp.moveaxis(flows, 1, -1).reshape(b, h, w, 2 * (t - 1))
    frames = jnp.moveaxis(frames, 1, -1).reshape(b, h, w, 3 * t)
    return jnp.concatenate([flows, frames], axis=-1)


class SdcNet(nn.Module):
    """The displacement network; see ``build_sdcnet``."""

    @nn.compact
    def __call__(
        self, frames: Float[Array, "b t h w 3"], flows: Float[Array, "b t-1 h w 2"]
    ) -> Float[Array, "b h w 2"]:
        """Displacement in pixels, ``(dx, dy)``."""
        height, width = frames.shape[2:4]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"SDC-Net takes sizes that are multiples of {MULTIPLE}, not {height}x{width}: pad "
                "the frames (motion/padding.py)"
            )
        x = network_input(frames, flows)
        seen = {"input": x}
        for name, features, size, stride in _ENCODER:
            x = seen[name] = ConvLeaky(features, size, stride, name=name)(x)
        for name, features, beside in _DECODER:
            x = ConvLeaky(features, transposed=True, name=name)(x)
            x = jnp.concatenate([seen[beside], x], axis=-1)
        flow = Conv(2, name="final_flow")(x)
        return 3 * jnp.asarray(FLOW_STD) * flow + jnp.asarray(FLOW_MEAN)


def build_sdcnet(*, precision: str | None = "highest") -> Network:
    """SDC-Net as two pure functions.

    The number of frames given at ``init`` decides what the network is: three frames
    ``[I(t-1), I(t), I(t+1)]`` make it video reconstruction (published weights), two frames
    ``[I(t-1), I(t)]`` video prediction. Backwards in time, reverse the list.

    Args:
      precision: of float32 products (``jax.default_matmul_precision``); anything less is no
        longer equal to the published network on accelerators.

    Returns:
      ``init(key, frames, flows)`` and ``apply(variables, frames, flows)`` with frames
      ``[b, t, h, w, 3]``, **BGR**, 0 … 255, sizes multiples of 64, and flows ``[b, t-1, h, w, 2]``
      from ``pairwise_flows``. Gives ``[b, h, w, 2]`` in pixels: on I(t+1), into I(t). No state:
      with ``train=True`` the second value is an empty dictionary.
    """
    module = SdcNet()

    def apply(variables, *inputs, train: bool = False, rngs=None):
        with jax.default_matmul_precision(precision):
            flow = module.apply(variables, *inputs, rngs=rngs)
        return (flow, {}) if train else flow

    return Network(lambda key, *inputs: module.init(key, *inputs), apply)


def pairwise_flows(
    source_of_flow: FlowSource, frames: Float[Array, "b t h w 3"]
) -> Float[Array, "b t-1 h w 2"]:
    """The flows SDC-Net reads: on each frame into the one before it in the list.

    Args:
      source_of_flow: FlowNet2 (published), or any other flow.
      frames: as the flow source wants them.
    """
    b, t, h, w, _ = frames.shape
    later, earlier = frames[:, 1:], frames[:, :-1]
    shape = (b * (t - 1), h, w, 3)
    flows = source_of_flow(later.reshape(shape), earlier.reshape(shape))
    return flows.reshape(b, t - 1, h, w, 2)
