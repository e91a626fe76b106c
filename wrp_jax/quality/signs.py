"""Signs that motion has failed, pixel by pixel, along a chain of frames from a labelled one.

Motion is followed back to the labelled frame, and what is seen there is compared with the frame
itself. Pictures are looked at on a coarse grid of some 60,000 places, so that the cost does not
grow with their size, and lengths are shares of the picture's size.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_PLACES = 60_000
_SHIFT_MOST = 4.0
"""Places by which a border is at most said to be off: beyond, colours tell nothing of its way."""
_COLOUR_MOST = 3.0**0.5
_FLAT = 0.01  # gradient of what has no texture: noise moves nothing


class Signs(NamedTuple):
    """What speaks against motion at the places of a frame.

    Attributes:
      shift: places by which the picture seems to be off the labelled frame's, 0 … 4.
      lost: 1 where the way back to the labelled frame leads out of the picture.
      colour: photometric error towards the labelled frame: L2 norm of RGB, 0 … √3, means of 3x3.
    """

    shift: Float32[np.ndarray, "h w"]
    lost: Float32[np.ndarray, "h w"]
    colour: Float32[np.ndarray, "h w"]


class Trail(NamedTuple):
    """The way back from the places of a frame to the labelled frame.

    Attributes:
      image: of the labelled frame on the grid, RGB, 0 … 1.
      way: ``(dx, dy)`` into it, in places.
      lost: 1 where it led out of the picture.
    """

    image: Float32[np.ndarray, "h w 3"]
    way: Float32[np.ndarray, "h w 2"]
    lost: Float32[np.ndarray, "h w"]


def grid_step(height: int, width: int) -> int:
    """Pixels from one place of the grid to the next, in both directions."""
    return max(1, round((height * width / _PLACES) ** 0.5))


def on_grid(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "gh gw 3"]:
    """A picture on the grid: means over its squares, RGB, 0 … 1."""
    step = grid_step(*image.shape[:2])
    height, width = image[::step, ::step].shape[:2]
    if step > 1:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return image.astype(np.float32) / 255.0


def start_trail(image: UInt8[np.ndarray, "h w 3"]) -> Trail:
    """The trail on the labelled frame itself."""
    small = on_grid(image)
    size = small.shape[:2]
    return Trail(small, np.zeros((*size, 2), np.float32), np.zeros(size, np.float32))


def follow(
    trail: Trail, flow: Float32[np.ndarray, "h w 2"], image: UInt8[np.ndarray, "h w 3"]
) -> tuple[Trail, Signs]:
    """Goes on to the next frame of the chain.

    Args:
      trail: to the frame before it.
      flow: from the next frame into the frame before it, in pixels; NaN where it is void.
      image: the next frame, RGB.

    Returns:
      Its trail, and what speaks against that.
    """
    step = grid_step(*image.shape[:2])
    small = on_grid(image)
    height, width = small.shape[:2]
    known = np.isfinite(flow[::step, ::step, 0]) & np.isfinite(flow[::step, ::step, 1])
    short = np.where(known[..., None], flow[::step, ::step], 0).astype(np.float32) / step
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    to_x, to_y = x + short[..., 0], y + short[..., 1]
    inside = (to_x > -0.5) & (to_x < width - 0.5) & (to_y > -0.5) & (to_y < height - 0.5)
    way = short + _look(trail.way, to_x, to_y)
    lost = np.maximum(_look(trail.lost, to_x, to_y, cv2.INTER_NEAREST), ~(inside & known))
    seen = _look(trail.image, x + way[..., 0], y + way[..., 1])
    difference = small - seen
    colour = cv2.blur(np.sqrt(_sum(np.square(difference))), (3, 3))
    grey = _sum(small) / 3
    across, down = (cv2.Sobel(grey, -1, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    gradient = cv2.blur(np.sqrt(across * across + down * down), (3, 3))
    shift = cv2.blur(_sum(np.abs(difference)) / 3, (3, 3)) / (gradient + _FLAT)
    signs = Signs(
        np.minimum(shift, _SHIFT_MOST).astype(np.float32),
        lost.astype(np.float32),
        colour,
    )
    return Trail(trail.image, way, signs.lost), signs


def least(one: Signs, two: Signs) -> Signs:
    """What speaks against both of two sides: a label may come from the better one."""
    return Signs(*map(np.minimum, one, two))


def pack(signs: Signs) -> UInt8[np.ndarray, "3 h w"]:
    """Signs in a byte each, to be kept until the other side comes."""
    scaled = np.stack([signs.shift / _SHIFT_MOST, signs.lost, signs.colour / _COLOUR_MOST])
    return np.rint(255.0 * scaled).astype(np.uint8)


def unpack(packed: UInt8[np.ndarray, "3 h w"]) -> Signs:
    """The signs again."""
    shift, lost, colour = packed.astype(np.float32) / 255.0
    return Signs(_SHIFT_MOST * shift, lost, _COLOUR_MOST * colour)


def _sum(image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Over the colours. NumPy's own sum over so short an axis takes twenty times as long."""
    return image[..., 0] + image[..., 1] + image[..., 2]


def _look(
    array: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR
) -> np.ndarray:
    return np.asarray(cv2.remap(array, x, y, how, borderMode=cv2.BORDER_REPLICATE))
