"""Backward warping of images, soft labels and label maps by a flow that lives on the target frame.

Range and layout: images and soft labels float ``[b, h, w, c]``; label maps int ``[b, h, w]``;
flow ``[b, h, w, 2]`` as ``(dx, dy)`` in pixels. A sample outside the frame takes the border
value and is marked in the validity mask; a flow vector that is not finite samples in place and
is marked likewise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

Extent = tuple[Any, Any] | None
"""Height and width of a frame that lies at the upper left of larger arrays, so that one program
serves frames of many sizes; whole numbers, traced or not. None: the arrays hold nothing else. What
lies outside of the frame is never read, and what is said there means nothing."""


class _Corners(NamedTuple):
    """The four pixels each sample lies between, in the order of reading, and their weights."""

    indices: tuple[Array, Array, Array, Array]  # int32 [b, h*w], into a flattened frame
    weights: tuple[Array, Array, Array, Array]  # [b, h*w], they sum to one
    valid: Array  # bool [b, h, w]


def _position(flow: Array, size: tuple[Any, Any]) -> tuple[Array, Array, Array]:
    """Where each pixel samples in a frame of this size, and whether it may."""
    _, rows, columns, _ = flow.shape
    h, w = size
    finite = jnp.isfinite(flow[..., 0]) & jnp.isfinite(flow[..., 1])
    x = jnp.arange(columns, dtype=flow.dtype) + jnp.where(finite, flow[..., 0], 0)
    y = jnp.arange(rows, dtype=flow.dtype)[:, None] + jnp.where(finite, flow[..., 1], 0)
    valid = finite & (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    return x, y, valid


def _corners(flow: Array, size: tuple[int, int], extent: Extent = None) -> _Corners:
    h, w = extent or size
    pixels = (flow.shape[0], flow.shape[1] * flow.shape[2])
    x, y, valid = _position(flow, (h, w))
    x, y = jnp.clip(x, 0, w - 1), jnp.clip(y, 0, h - 1)
    # The upper-left corner stays one short of the border, so that the lower-right one exists;
    # on the border itself its fraction is then exactly 1.
    last = (max(h - 2, 0), max(w - 2, 0)) if extent is None else (
        jnp.maximum(h - 2, 0), jnp.maximum(w - 2, 0)
    )  # fmt: skip
    x0, y0 = jnp.clip(jnp.floor(x), 0, last[1]), jnp.clip(jnp.floor(y), 0, last[0])
    fx, fy = (x - x0).reshape(pixels), (y - y0).reshape(pixels)
    row = size[1]
    base = (y0.astype(jnp.int32) * row + x0.astype(jnp.int32)).reshape(pixels)
    if extent is None:
        right, down = (1 if w > 1 else 0), (row if h > 1 else 0)
    else:
        right, down = jnp.where(w > 1, 1, 0), jnp.where(h > 1, row, 0)
    return _Corners(
        (base, base + right, base + down, base + right + down),
        ((1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx),
        valid,
    )


def _take(flat: Array, index: Array) -> Array:
    """Gathers along axis 1; the corners are inside the frame by construction."""
    index = index.reshape(*index.shape, *(1,) * (flat.ndim - 2))
    return jnp.take_along_axis(flat, index, axis=1, mode="promise_in_bounds")


def inside(flow: Float[Array, "b h w 2"], extent: Extent = None) -> Bool[Array, "b h w"]:
    """Where a flow may be trusted at all: finite, and pointing inside the frame."""
    return _position(flow, extent or (flow.shape[1], flow.shape[2]))[2]


def warp(
    source: Float[Array, "b sh sw c"], flow: Float[Array, "b h w 2"], extent: Extent = None
) -> tuple[Float[Array, "b h w c"], Bool[Array, "b h w"]]:
    """Bilinear backward warping, differentiable in both arguments: φ(source) (eq. 3).

    Args:
      source: image or distribution on the source frame.
      flow: on the target frame, ``(dx, dy)`` in pixels, pointing into the source frame. It may
        cover a part of the frame; vectors then count from where the part's pixel would be if it
        began at the frame's first row and column.
      extent: of the source frame.

    Returns:
      The source seen from the target frame, and a mask that is False where the sample lies
      outside the frame or the flow is not finite.
    """
    b, source_height, source_width, c = source.shape
    h, w = flow.shape[1:3]
    corners = _corners(flow, (source_height, source_width), extent)
    flat = source.reshape(b, source_height * source_width, c)
    total = jnp.zeros((b, h * w, c), source.dtype)
    for index, weight in zip(corners.indices, corners.weights, strict=True):
        total = total + _take(flat, index) * weight[..., None].astype(source.dtype)
    return total.reshape(b, h, w, c), corners.valid


def vote_labels(
    labels: Integer[Array, "b h w"], flow: Float[Array, "b h w 2"], extent: Extent = None
) -> tuple[Integer[Array, "b h w"], Float[Array, "b h w"], Bool[Array, "b h w"]]:
    """Warps a label map: exactly the argmax of the bilinearly warped one-hot map.

    The four corners vote for their own label with their bilinear weight, so no array with a
    channel per class is built. A tie goes to the smallest label, as ``argmax`` has it.

    Args:
      labels: class indices on the source frame.
      flow: as in ``warp``.
      extent: of the frames.

    Returns:
      Class indices on the target frame, the share of the vote each won (0 … 1: the maximum of
      the warped one-hot map), and the validity mask of ``warp``.
    """
    b, h, w = labels.shape
    corners = _corners(flow, (h, w), extent)
    flat = labels.reshape(b, h * w)
    ids = [_take(flat, index) for index in corners.indices]
    best, best_vote = ids[0], None
    for candidate in ids:
        vote = jnp.zeros_like(corners.weights[0])
        # Summed in the order of the one-hot path: adding an exact zero changes nothing, so the
        # two agree to the last bit.
        for label, weight in zip(ids, corners.weights, strict=True):
            vote = vote + jnp.where(label == candidate, weight, 0)
        if best_vote is None:
            best_vote = vote
            continue
        better = (vote > best_vote) | ((vote == best_vote) & (candidate < best))
        best = jnp.where(better, candidate, best)
        best_vote = jnp.where(better, vote, best_vote)
    assert best_vote is not None
    return best.reshape(b, h, w), best_vote.reshape(b, h, w), corners.valid


def warp_labels(
    labels: Integer[Array, "b h w"], flow: Float[Array, "b h w 2"], extent: Extent = None
) -> tuple[Integer[Array, "b h w"], Bool[Array, "b h w"]]:
    """``vote_labels`` without the votes: class indices on the target frame, validity mask."""
    moved, _, valid = vote_labels(labels, flow, extent)
    return moved, valid


def warp_one_hot(
    labels: Integer[Array, "b h w"],
    flow: Float[Array, "b h w 2"],
    num_classes: int,
    extent: Extent = None,
) -> Float[Array, "b h w c"]:
    """The bilinearly warped one-hot map, made from four label look-ups.

    Equal to ``warp(one_hot(labels, num_classes), flow)`` bit for bit. Differentiable in the flow.
    """
    b, h, w = labels.shape
    corners = _corners(flow, (h, w), extent)
    flat = labels.reshape(b, h * w)
    classes = jnp.arange(num_classes, dtype=labels.dtype)
    total = jnp.zeros((b, h * w, num_classes), flow.dtype)
    for index, weight in zip(corners.indices, corners.weights, strict=True):
        hit = _take(flat, index)[..., None] == classes
        total = total + jnp.where(hit, weight[..., None], 0)
    return total.reshape(b, h, w, num_classes)


class WarpedKey(NamedTuple):
    """A labelled frame seen from another: ``warp`` of its image, and of its one-hot label map.

    Attributes:
      image: as ``warp`` gives it.
      votes: equal to ``warp_one_hot``.
      valid: False where the sample lies outside the frame or the flow is not finite.
    """

    image: Float[Array, "b h w f"]
    votes: Float[Array, "b h w c"]
    valid: Bool[Array, "b h w"]


def warp_labelled(
    image: Float[Array, "n sh sw f"],
    labels: Integer[Array, "n sh sw"],
    flow: Float[Array, "b h w 2"],
    num_classes: int,
    source: Int[Array, " b"],
) -> WarpedKey:
    """Warps images and label maps by one flow: few numbers per corner are read, in planes.

    Args:
      image: of the source frames.
      labels: class indices; one outside the classes votes for none.
      flow: as in ``warp``.
      num_classes: number of channels of the votes.
      source: which of the n source frames each flow points into.
    """
    _, source_height, source_width, f = image.shape
    b, h, w, _ = flow.shape
    corners = _corners(flow, (source_height, source_width))
    first = source[:, None] * (source_height * source_width)
    planes = [image[..., i].ravel() for i in range(f)]
    classes = jnp.arange(num_classes, dtype=labels.dtype)[:, None, None]
    moved = [jnp.zeros((b, h * w), image.dtype)] * f
    votes = jnp.zeros((num_classes, b, h * w), flow.dtype)
    for index, weight in zip(corners.indices, corners.weights, strict=True):
        # A barrier: else the position is worked out anew for each number that is read there.
        index, weight = jax.lax.optimization_barrier((index + first, weight))
        read = [plane.at[index].get(mode="promise_in_bounds") for plane in planes]
        hit = jax.lax.optimization_barrier(labels.ravel().at[index].get(mode="promise_in_bounds"))
        moved = [total + one * weight for total, one in zip(moved, read, strict=True)]
        votes = votes + jnp.where(hit == classes, weight, 0)
    return WarpedKey(
        jnp.stack(moved, axis=-1).reshape(b, h, w, f),
        jnp.moveaxis(votes, 0, -1).reshape(b, h, w, num_classes),
        corners.valid,
    )


def warp_nearest(
    values: Integer[Array, "b h w"], flow: Float[Array, "b h w 2"], extent: Extent = None
) -> Integer[Array, "b h w"]:
    """Warps by the nearest pixel: for numbers that cannot be mixed nor voted on."""
    b, h, w = values.shape
    height, width = extent or (h, w)
    x, y, _ = _position(flow, (height, width))
    column = jnp.clip(jnp.round(x), 0, width - 1).astype(jnp.int32)
    row = jnp.clip(jnp.round(y), 0, height - 1).astype(jnp.int32)
    index = (row * w + column).reshape(b, h * w)
    return _take(values.reshape(b, h * w), index).reshape(b, h, w)


def compose_flow(
    flow: Float[Array, "b h w 2"], flow_before: Float[Array, "b h w 2"], extent: Extent = None
) -> tuple[Float[Array, "b h w 2"], Bool[Array, "b h w"]]:
    """Chains two backward flows: k → k-1, then k-1 → key, gives k → key.

    Args:
      flow: on frame k, into frame k-1.
      flow_before: on frame k-1, into the key frame.
      extent: of the frames.

    Returns:
      The flow on frame k into the key frame, and where the first leg was valid.
    """
    moved, valid = warp(flow_before, flow, extent)
    return jnp.where(jnp.isfinite(flow), flow, 0) + moved, valid


def consistency_error(
    flow: Float[Array, "b h w 2"], flow_reverse: Float[Array, "b h w 2"], extent: Extent = None
) -> Float[Array, "b h w"]:
    """Forward-backward error in pixels: how far from home a pixel lands, there and back.

    Args:
      flow: on frame A, into frame B.
      flow_reverse: on frame B, into frame A.
      extent: of the frames.

    Returns:
      ``‖flow(x) + flow_reverse(x + flow(x))‖₂`` on frame A.
    """
    home, _ = compose_flow(flow, flow_reverse, extent)
    return jnp.sqrt(jnp.sum(home * home, axis=-1) + 1e-12)
