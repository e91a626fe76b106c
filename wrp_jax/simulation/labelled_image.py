"""An image with the class of every pixel, sampled together."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, Int16, Num

remap: Any = cv2.remap
"""``cv2.remap``, whose type stubs refuse what its documentation allows: ``map2=None``."""


class LabelledImage(NamedTuple):
    """An image and its label.

    Attributes:
      image: RGB, 0 … 255.
      label: class indices, -1 where unknown.
    """

    image: Float32[np.ndarray, "h w 3"]
    label: Int16[np.ndarray, "h w"]

    def sample(
        self, position: Float32[np.ndarray, "h w 2"]
    ) -> tuple[Float32[np.ndarray, "h w 3"], Int16[np.ndarray, "h w"]]:
        """Image (bicubic) and label (nearest) at positions ``(x, y)``, mirrored at the border."""
        sampled = functools.partial(
            remap, map1=position, map2=None, borderMode=cv2.BORDER_REFLECT_101
        )
        image, label = self
        if 1 in label.shape:  # OpenCV 5 never ends there; mirrored, one row is two of them
            rows, columns = (2 if n == 1 else 1 for n in label.shape)
            image, label = (a.repeat(rows, 0).repeat(columns, 1) for a in self)
        return (
            sampled(image, interpolation=cv2.INTER_CUBIC),
            sampled(label, interpolation=cv2.INTER_NEAREST),
        )


def surround(
    still: LabelledImage, image: Num[np.ndarray, "oh ow 3"], label: Int16[np.ndarray, "oh ow"]
) -> tuple[LabelledImage, Float32[np.ndarray, "2"]]:
    """Puts a still into the middle of another frame's mirrored surroundings.

    Args:
      still: the picture, height h and width w.
      image: of the other frame, which is brought to the still's size.
      label: of the other frame.

    Returns:
      A picture of about ``2h x 2w``, and ``(x, y)`` of the still's corner in it.
    """
    h, w = still.label.shape
    if label.shape != (h, w):
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        label = cv2.resize(label, (w, h), interpolation=cv2.INTER_NEAREST)
    dy, dx = h // 2, w // 2
    pad = functools.partial(
        cv2.copyMakeBorder, top=dy, bottom=dy, left=dx, right=dx, borderType=cv2.BORDER_REFLECT_101
    )
    around, truth = pad(image.astype(np.float32)), pad(label)
    around[dy : dy + h, dx : dx + w] = still.image
    truth[dy : dy + h, dx : dx + w] = still.label
    return LabelledImage(around, truth), np.array([dx, dy], np.float32)
