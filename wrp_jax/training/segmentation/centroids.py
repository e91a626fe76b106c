"""Where classes are: centroids per tile, around which crops are cut.

Reference: Zhu et al., CVPR 2019, section 4.1 ("class uniform sampling"); ``datasets/uniform.py`` of
NVIDIA/semantic-segmentation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8


def tile_centroids(label: UInt8[np.ndarray, "h w"], tile: int) -> dict[int, np.ndarray]:
    """Mean position of the pixels of each class in each tile of a label.

    Args:
      label: class indices; every value that occurs counts as a class.
      tile: side of a tile in pixels; tiles at the end may be smaller.

    Returns:
      By class float64 ``[n, 2]``, (row, column), one for each tile that shows it.
    """
    rows, columns = np.indices(label.shape)
    across = -(-label.shape[1] // tile)
    tiles = (rows // tile) * across + columns // tile
    count_tiles = int(tiles[-1, -1]) + 1
    place = (label.astype(np.int64) * count_tiles + tiles).ravel()
    # Counted, not sorted: sets have tens of thousands of large labels.
    count = np.bincount(place, minlength=256 * count_tiles)
    found = np.flatnonzero(count)
    sums = (np.bincount(place, where.ravel(), len(count)) for where in (rows, columns))
    centres = np.stack([total[found] / count[found] for total in sums], -1)
    classes = found // count_tiles
    return {int(c): centres[classes == c] for c in np.unique(classes)}


def centroid_table(
    labels: Iterable[UInt8[np.ndarray, "h w"]], num_classes: int, tile: int
) -> list[np.ndarray]:
    """The centroids of all frames, by class: float64 ``[n, 3]``, (frame, row, column)."""
    table: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
    for frame, label in enumerate(labels):
        for c, centres in tile_centroids(label, tile).items():
            if c < num_classes:
                table[c].append(np.insert(centres, 0, frame, axis=1))
    return [np.concatenate(rows) if rows else np.zeros((0, 3)) for rows in table]
