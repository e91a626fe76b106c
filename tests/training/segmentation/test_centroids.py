import numpy as np

from wrp_jax.training.segmentation.centroids import centroid_table, tile_centroids
from wrp_jax.training.segmentation.transforms import PUBLISHED, CropSampler


def test_centroids_by_hand():
    label = np.zeros((4, 6), np.uint8)
    label[0, 0] = label[2, 1] = 1  # one tile of 3: rows 0 and 2
    label[3, 5] = 1  # another
    centres = tile_centroids(label, 3)
    np.testing.assert_allclose(sorted(map(tuple, centres[1])), [(1.0, 0.5), (3.0, 5.0)])
    assert len(centres[0]) == 4  # two rows of tiles, two columns
    assert np.isclose(np.mean(tile_centroids(np.zeros((4, 6), np.uint8), 9)[0]), (1.5 + 2.5) / 2)


def test_crops_of_a_class_hold_its_centroid(rng):
    label = np.zeros((64, 96), np.uint8)
    label[10:14, 80:84] = 1
    label[63, 0] = 255
    frames = [(np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8))]
    frames.append((np.zeros((64, 96, 3), np.uint8), label))
    table = centroid_table([y for _, y in frames], 2, 32)
    np.testing.assert_allclose(table[1], [[1, 11.5, 81.5]])
    counts = np.array([[64 * 96, 0], [64 * 96 - 17, 16]])
    sampler = CropSampler(
        frames, counts=counts, crop=(16, 16), class_share=1.0, centroids=table,
        augmentation=PUBLISHED,
    )  # fmt: skip
    shown = [np.any(sampler(rng)[1] == 1) for _ in range(60)]
    assert 0.3 < np.mean(shown) < 0.8  # half of the draws are of the other class


def test_centroids_are_the_means_tile_by_tile(rng):
    label = rng.integers(0, 5, (37, 53)).astype(np.uint8)
    label[label == 3] = 255
    centres = tile_centroids(label, 16)
    for c in (0, 1, 2, 4, 255):
        expected = []
        for top in range(0, 37, 16):
            for left in range(0, 53, 16):
                where = np.argwhere(label[top : top + 16, left : left + 16] == c)
                if len(where):
                    expected.append(where.mean(0) + np.array([top, left]))
        np.testing.assert_allclose(centres[c], expected)
    assert 3 not in centres
