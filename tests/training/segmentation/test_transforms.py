import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrp_jax.training.segmentation import transforms
from wrp_jax.training.segmentation.transforms import IGNORE, PUBLISHED, Augmentation, CropSampler

PLAIN = Augmentation(
    (1.0, 1.0), stretch=0.0, rotation=0.0, flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0,
    channel=0.0, gamma=0.0, blur=0.0, noise=0.0,
)  # fmt: skip
GEOMETRY = Augmentation(
    (0.5, 2.0),
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    channel=0.0,
    gamma=0.0,
    blur=0.0,
    noise=0.0,
)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)


def _patches(rng, height=60, width=80):
    """A label of large patches, and the picture that shows each class in its colour."""
    coarse = rng.integers(0, 4, (height // 20, width // 20))
    label = coarse.repeat(20, 0).repeat(20, 1).astype(np.uint8)
    return COLOURS[label], label


def _sampler(frames, crop=(32, 40), classes=4, **options):
    counts = np.stack([np.bincount(y.ravel(), minlength=256)[:classes] for _, y in frames])
    return CropSampler(frames, counts=counts, crop=crop, **options)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_image_and_label_stay_aligned(seed):
    rng = np.random.default_rng(seed)
    image, label = _sampler([_patches(rng)], augmentation=GEOMETRY)(rng)
    known = label != IGNORE
    shown = np.abs(image[..., None, :].astype(int) - COLOURS).sum(-1).argmin(-1)
    # Pixels on a border are a mixture of two colours; all others must agree.
    assert known.any()
    assert (shown == label)[known].mean() > 0.85


def test_without_augmentation_a_crop_is_a_piece_of_the_frame():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    label = rng.integers(0, 4, (40, 50), dtype=np.uint8)
    centre = (19.5 + 8, 15.5 + 4)  # whole pixels: the crop begins at x = 8, y = 4
    matrix = transforms.affine(rng, (32, 40), centre, PLAIN)
    out, ids = transforms.affine_crop(image, label, matrix, (32, 40))
    np.testing.assert_array_equal(out, image[4:36, 8:48])
    np.testing.assert_array_equal(ids, label[4:36, 8:48])


def test_mirrored_crop():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
    label = rng.integers(0, 4, (32, 40), dtype=np.uint8)
    options = Augmentation((1.0, 1.0), stretch=0.0, rotation=0.0, flip=1.0)
    matrix = transforms.affine(rng, (32, 40), (19.5, 15.5), options)
    out, ids = transforms.affine_crop(image, label, matrix, (32, 40))
    np.testing.assert_array_equal(out, image[:, ::-1])
    np.testing.assert_array_equal(ids, label[:, ::-1])


def test_a_crop_larger_than_the_frame_is_mirrored_there_and_not_labelled():
    rng = np.random.default_rng(0)
    frame = _patches(rng, 20, 20)
    image, label = _sampler([frame], augmentation=PLAIN)(rng)
    assert (label != IGNORE).sum() <= 21 * 21
    assert set(np.unique(label)) <= {*np.unique(frame[1]), IGNORE}
    assert image.min(axis=(0, 1)).tolist() == frame[0].min(axis=(0, 1)).tolist()


def test_rare_classes_are_drawn_as_often_as_common_ones():
    label = np.zeros((60, 300), np.uint8)
    label[30:36, 280:286] = 1
    frames = [(np.zeros((60, 300, 3), np.uint8), label)]
    rng = np.random.default_rng(0)

    def share(class_share):
        draw = _sampler(frames, (24, 24), 2, class_share=class_share, augmentation=PLAIN)
        return np.mean([(draw(rng)[1] == 1).any() for _ in range(200)])

    assert share(1.0) > 0.4
    assert share(0.0) < 0.2


def test_a_frame_that_is_segmented_small_is_cut_small():
    label = np.zeros((64, 80), np.uint8)
    label[:, 40:] = 1
    frames = [(COLOURS[label], label)]
    draw = _sampler(frames, (32, 40), 2, scales=np.array([0.5]), augmentation=PLAIN)
    image, ids = draw(np.random.default_rng(0))  # the whole frame, whatever was drawn
    assert (ids[:, :19] == 0).all() and (ids[:, 21:] == 1).all()
    assert image.shape == (32, 40, 3)


def test_frames_are_drawn_by_weight():
    frames = [(np.full((20, 20, 3), v, np.uint8), np.zeros((20, 20), np.uint8)) for v in (10, 200)]
    draw = _sampler(frames, (16, 16), 1, weights=np.array([3.0, 1.0]), augmentation=PLAIN)
    rng = np.random.default_rng(0)
    dark = np.mean([draw(rng)[0].mean() < 100 for _ in range(400)])
    assert dark == pytest.approx(0.75, abs=0.08)


@pytest.mark.parametrize("place", [(30.0, 40.0), (0.0, 79.0), (59.0, 3.0)])
def test_a_published_crop_shows_its_centroid(monkeypatch, place):
    frame = _patches(np.random.default_rng(0))
    maps, crop = [], transforms.affine_crop
    monkeypatch.setattr(transforms, "affine_crop", lambda *a: maps.append(a[2]) or crop(*a))

    def places(augmentation):
        """Where the centroid lies in 200 crops (row, column)."""
        centroids = [np.array([[0.0, *place]])] * 4
        draw = _sampler([frame], class_share=1.0, centroids=centroids, augmentation=augmentation)
        maps.clear()
        for seed in range(200):
            draw(np.random.default_rng(seed))
        return np.array([np.linalg.solve(m[:, :2], place[::-1] - m[:, 2])[::-1] for m in maps])

    def outside(found):
        return ((found < -0.5) | (found > np.array((32, 40)) - 0.5)).any(1).sum()

    found = places(PUBLISHED)
    assert outside(found) == 0
    if place == (30.0, 40.0):
        before = places(dataclasses.replace(PUBLISHED, centroid_anywhere=False))
        assert outside(before) > 0
        assert found[:, 1].min() < 8 and found[:, 1].max() > 32  # not in the middle alone


def test_recolour_with_every_range_at_zero_changes_nothing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_allclose(transforms.recolour(rng, image, PLAIN).astype(int), image, atol=1)
    assert np.abs(transforms.recolour(rng, image, Augmentation()).astype(int) - image).mean() > 1


def test_same_generator_same_crop():
    frame = _patches(np.random.default_rng(0))
    draw = _sampler([frame])
    first, second = (draw(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
