"""Losses of the published training protocol: RMI, image-weighted and relaxed cross entropy.

All take logits at the size of the labels; labels outside of ``0 … c-1`` are not known. They are
the losses of Tao, Sapra, Catanzaro, "Hierarchical multi-scale attention for semantic
segmentation", 2020, as the released code (NVIDIA/semantic-segmentation, ``loss/``) computes them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_POOL = 4  # pixels, side and stride of the pooling
_RADIUS = 3  # side of the neighbourhoods whose joint distribution is compared
_EPSILON = 5e-4
_LEAST = 1e-6  # added to probabilities


def _known(labels: Int[Array, "b h w"], classes: int) -> Array:
    return (labels >= 0) & (labels < classes)


def binary_cross_entropy(
    logits: Float[Array, "b h w c"], labels: Int[Array, "b h w"]
) -> Float[Array, ""]:
    """Sigmoid cross entropy summed over classes and known pixels, over their number plus one.

    Reference: the part of RMI that looks at pixels alone; ``loss/rmi.py``.
    """
    known = _known(labels, logits.shape[-1])
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    loss = jnp.maximum(logits, 0.0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.sum(loss * known[..., None]) / (known.sum() + 1.0)


def _pool(x: Array) -> Array:
    """Means of 4x4 blocks; two rows and columns of zeros at each side count."""
    half = (_POOL // 2, _POOL // 2)
    window, pad = (1, _POOL, _POOL, 1), ((0, 0), half, half, (0, 0))
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, pad) / _POOL**2


def _neighbourhoods(x: Float[Array, "b h w c"]) -> Float[Array, "b c 9 n"]:
    """The 3x3 neighbourhoods that lie inside, as vectors, centred over the positions."""
    b, h, w, c = x.shape
    rows, columns = h - _RADIUS + 1, w - _RADIUS + 1
    parts = [
        x[:, i : i + rows, j : j + columns].reshape(b, rows * columns, c)
        for i in range(_RADIUS)
        for j in range(_RADIUS)
    ]
    vectors = jnp.stack(parts, axis=1).transpose(0, 3, 1, 2)
    return vectors - vectors.mean(-1, keepdims=True)


def _conditional_entropy(target: Array, probs: Array) -> Array:
    """Per class ``½ log det`` of the covariance of the truth given the prediction, float64."""
    y = _neighbourhoods(target.astype(jnp.float64))
    p = _neighbourhoods(probs.astype(jnp.float64))
    size = _RADIUS**2
    ridge = _EPSILON * jnp.eye(size, dtype=jnp.float64)
    yy, pp, yp = (
        jnp.einsum("bcin,bcjn->bcij", a, b, precision="highest")
        for a, b in ((y, y), (p, p), (y, p))
    )
    rest = yy - yp @ jnp.linalg.solve(pp + ridge, jnp.swapaxes(yp, -1, -2))
    root = jnp.linalg.cholesky(rest + ridge)
    diagonal = jnp.diagonal(root, axis1=-2, axis2=-1)
    return jnp.log(diagonal + 1e-8).sum(-1).mean(0).sum() / size


@jax.custom_vjp
def _region_loss(target: Array, probs: Array) -> Array:
    return _region_loss_forward(target, probs)[0]


def _region_loss_forward(target: Array, probs: Array) -> tuple[Array, Array]:
    # In single precision the Cholesky factor may not exist. The gradient is taken here as well,
    # since the way back runs outside of the double precision.
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(_conditional_entropy, argnums=1)(target, probs)
        return value.astype(probs.dtype), gradient.astype(probs.dtype)


def _region_loss_backward(gradient: Array, cotangent: Array) -> tuple[None, Array]:
    return None, cotangent * gradient


_region_loss.defvjp(_region_loss_forward, _region_loss_backward)


def region_mutual_information(
    logits: Float[Array, "b h w c"], labels: Int[Array, "b h w"]
) -> Float[Array, ""]:
    """RMI: half `binary_cross_entropy`, half a bound on what a neighbourhood's prediction tells.

    Truth and sigmoid probabilities are pooled by 4; their 3x3 neighbourhoods Y and P are taken
    as Gaussian, and ``½ log det(Σ_Y − Σ_YP (Σ_P + εI)⁻¹ Σ_YPᵀ + εI) / 9`` is averaged over the
    images and summed over the classes. In double precision, on every backend.

    Reference:
      Zhao, Wang, Yang, Cai, "Region Mutual Information Loss for Semantic Segmentation",
      NeurIPS 2019; ``loss/rmi.py``.
    """
    known = _known(labels, logits.shape[-1])[..., None].astype(logits.dtype)
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype) * known
    probs = jax.nn.sigmoid(logits) * known + _LEAST
    region = _region_loss(_pool(target), _pool(probs))
    return 0.5 * binary_cross_entropy(logits, labels) + 0.5 * region


def image_weighted_cross_entropy(
    logits: Float[Array, "b h w c"], labels: Int[Array, "b h w"]
) -> Float[Array, ""]:
    """Cross entropy with rare classes weighing up to twice as much; images are summed.

    A class weighs 2 - its share of the batch's known pixels, and 1 where it does not occur;
    each image's loss is a weighted mean.

    Reference: ``ImageBasedCrossEntropyLoss2d`` in ``loss/utils.py``.
    """
    classes = logits.shape[-1]
    known = _known(labels, classes)
    index = jnp.where(known, labels, 0)
    counts = jnp.zeros(classes, logits.dtype).at[index].add(known.astype(logits.dtype))
    share = counts / jnp.maximum(counts.sum(), 1.0)
    weights = 1.0 + (counts > 0) * (1.0 - share)
    weight = weights[index] * known
    scores = jnp.take_along_axis(jax.nn.log_softmax(logits), index[..., None], axis=-1)[..., 0]
    per_image = -jnp.sum(weight * scores, (1, 2)) / jnp.maximum(weight.sum((1, 2)), 1e-6)
    return per_image.sum()


def relax_labels(
    labels: Int[Array, "b h w"], classes: int, radius: int = 1
) -> Float[Array, "b h w {classes}+1"]:
    """All labels that occur around each pixel, as 0/1.

    The last entry stands for labels that are not known and for what lies outside the picture.

    Args:
      labels: class indices; others are not known.
      classes: number of classes c.
      radius: of the square neighbourhood, pixels.

    Reference:
      Zhu et al., "Improving semantic segmentation via video propagation and label relaxation",
      CVPR 2019, section 3.2; ``RelaxedBoundaryLossToTensor``.
    """
    index = jnp.where(_known(labels, classes), labels, classes)
    around = ((0, 0), (radius, radius), (radius, radius))
    index = jnp.pad(index, around, constant_values=classes)
    marks = jax.nn.one_hot(index, classes + 1)
    side = 2 * radius + 1
    return jax.lax.reduce_window(marks, 0.0, jax.lax.max, (1, side, side, 1), (1,) * 4, "VALID")


def relaxed_cross_entropy(
    logits: Float[Array, "b h w c"],
    relaxed: Float[Array, "b h w d"],
    divisors: Float[Array, "b h w"] | None = None,
) -> Float[Array, ""]:
    """Label relaxation: at a border any of the classes around will do; images are summed.

    ``−1/n Σ_c t_c w_c log max(p_c, Σ_c' t_c' p_c')`` per pixel, with n the number of classes
    marked there and w_c = 2 - the share of c among the image's marks, or 1 without any.

    Args:
      logits: of c classes.
      relaxed: of `relax_labels`, d = c + 1.
      divisors: n; None for that of ``relaxed``. (The released code spreads the n of every image
        of a batch over every other one and adds it all up; the paper does not, nor do we.)

    Reference: Zhu et al., equation 3; ``ImgWtLossSoftNLL`` in ``loss/utils.py``.
    """
    target = relaxed[..., :-1]
    count = target.sum(-1)
    divisors = count if divisors is None else divisors
    marks = relaxed.sum((1, 2))
    share = marks / jnp.maximum(marks.sum(-1, keepdims=True), 1.0)
    weights = (1.0 + (marks > 0) * (1.0 - share))[:, None, None, :-1]
    scores = jax.nn.log_softmax(logits)
    # Where nothing is marked any finite score does: it weighs nothing.
    marked = jnp.where(count[..., None] > 0, target, 1.0) > 0
    union = jax.nn.logsumexp(scores, axis=-1, where=marked)
    best = target * jnp.maximum(scores, union[..., None])
    loss = -(weights * best).sum(-1) / jnp.maximum(divisors, 1.0) * (divisors > 0)
    unknown = (count == 0).sum((1, 2))
    pixels = logits.shape[1] * logits.shape[2]
    return jnp.sum(loss.sum((1, 2)) / (pixels - unknown + 1.0))
