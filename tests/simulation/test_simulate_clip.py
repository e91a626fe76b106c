"""Simulated clips: repeatable, labels glued to the image, motion as fast as asked for."""

import dataclasses

import numpy as np
import pytest

from wrp_jax.simulation.clip import simulate_clip, typical_speeds
from wrp_jax.simulation.cutouts import extract_cutouts
from wrp_jax.simulation.labelled_image import LabelledImage
from wrp_jax.simulation.options import SimulationOptions

CLEAN = SimulationOptions(
    steps=4, size=(64, 80), gain=0.0, noise=0.0, blur=0.0, quality=(99, 100), jitter=0.0
)


def still(rng, h=64, w=80):
    """Flat colours by class, so that a label can be read off the image."""
    label = np.zeros((h, w), np.int32)
    label[20:50, 10:40], label[5:25, 50:75] = 1, 2
    colors = np.array([[40, 40, 40], [220, 60, 60], [60, 220, 220]], np.uint8)
    return colors[label], label


def test_same_seed_same_clip():
    image, label = still(np.random.default_rng(0))
    cutouts = extract_cutouts(image, label)
    clips = [
        simulate_clip(
            np.random.default_rng(seed), image, label, speed=2.0, cutouts=cutouts, options=CLEAN
        )
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(clips[0][0], clips[1][0])
    np.testing.assert_array_equal(clips[0][1], clips[1][1])
    assert (clips[0][0] != clips[2][0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_labels_stay_on_their_pixels(seed):
    image, label = still(np.random.default_rng(0))
    frames, labels = simulate_clip(
        np.random.default_rng(seed), image, label, speed=3.0, options=CLEAN
    )
    assert frames.shape == (5, 64, 80, 3) and labels.shape == (5, 64, 80)
    colors = np.array([[40, 40, 40], [220, 60, 60], [60, 220, 220]])
    nearest = np.abs(frames[..., None, :].astype(int) - colors).sum(-1).argmin(-1)
    assert (nearest == labels).mean() > 0.97


def test_pieces_carry_their_label_and_cover_their_share():
    image, label = still(np.random.default_rng(0))
    cutouts = extract_cutouts(image, label)
    assert sorted(p.label for p in cutouts) == [2]  # the other two cover more than 0.15
    assert cutouts[0].mask.sum() == (label == 2).sum()
    assert extract_cutouts(image, label, largest=1.0)[0].label == 0


def test_pasted_pieces_appear():
    rng = np.random.default_rng(1)
    image, label = still(rng)
    cutouts = extract_cutouts(image, label)
    blank = np.full_like(image, 40), np.zeros_like(label)
    shown = [
        (simulate_clip(np.random.default_rng(s), *blank, speed=2.0, cutouts=cutouts)[1] == 2).any()
        for s in range(6)
    ]
    assert any(shown)


def test_layers_leave_their_background_and_uncover_what_surrounds_them():
    image, label = still(np.random.default_rng(0))
    moved = 0
    for seed in range(6):
        frames, labels = simulate_clip(
            np.random.default_rng(seed), image, label, speed=3.0, options=CLEAN
        )
        colors = np.array([[40, 40, 40], [220, 60, 60], [60, 220, 220]])
        nearest = np.abs(frames[..., None, :].astype(int) - colors).sum(-1).argmin(-1)
        assert (nearest == labels).mean() > 0.97
        areas = [(labels[t] == 2).sum() for t in (0, -1)]
        moved += areas[0] != areas[1]
    assert moved  # at its own depth a region grows or shrinks


def test_the_first_label_alone_is_drawn_differently():
    image, label = still(np.random.default_rng(0))
    options = dataclasses.replace(CLEAN, jitter=3.0)
    plain, drawn = (
        simulate_clip(np.random.default_rng(5), image, label, speed=1.0, options=c)[1]
        for c in (CLEAN, options)
    )
    changed = (plain != drawn).mean((1, 2))
    assert 0 < changed[0] < 0.2 and (changed[1:] == 0).all()


def test_speed_zero_hardly_moves_and_frames_are_cropped_to_size():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 255, (90, 100, 3), dtype=np.uint8)
    label = rng.integers(0, 5, (90, 100))
    frames, labels = simulate_clip(np.random.default_rng(0), image, label, speed=0.0, options=CLEAN)
    assert frames.shape[1:3] == (64, 80)
    assert (labels[1:] == labels[:1]).mean() > 0.4  # bending alone, over pixels of noise


def test_typical_speed_of_a_uniform_flow_is_its_length():
    flow = np.broadcast_to(np.array([3.0, 4.0], np.float32), (6, 7, 2))
    np.testing.assert_allclose(typical_speeds([flow, 2 * flow]), [5.0, 10.0])


@pytest.mark.parametrize(
    "strength", [{"gain": 0.3}, {"noise": 9.0}, {"quality": (10, 11)}], ids=lambda s: next(iter(s))
)
def test_light_noise_and_compression_change_frames_and_leave_labels(strength):
    image, label = still(np.random.default_rng(0))
    (plain, labels), (changed, same) = (
        simulate_clip(np.random.default_rng(7), image, label, speed=2.0, options=options)
        for options in (CLEAN, dataclasses.replace(CLEAN, **strength))
    )
    np.testing.assert_array_equal(labels, same)
    difference = np.abs(changed.astype(int) - plain).mean((1, 2, 3))
    assert (difference[1:] > 0.5).all() and difference.max() < 25
    if "gain" in strength:  # light drifts: more and more
        assert difference[-1] > 2 * difference[0]


@pytest.mark.parametrize("speed", [1.5, 4.0])
def test_four_fifths_of_the_pixels_move_at_most_as_fast_as_asked(speed):
    y, x = np.mgrid[:36, :40].astype(np.uint8)
    image = np.stack([6 * x, 6 * y, 0 * x], -1)  # every pixel says where it comes from
    found = []
    for seed in range(12):
        frames, _ = simulate_clip(
            np.random.default_rng(seed), image, np.zeros((36, 40), int), speed=speed, options=CLEAN
        )
        flows = np.diff(frames[..., :2].astype(np.float32), axis=0) / 6
        found.append(typical_speeds(list(flows)).mean())
    assert 0.85 * speed < np.median(found) < 1.15 * speed
    assert min(found) > 0.4 * speed and max(found) < 2 * speed


@pytest.mark.parametrize("axis", [0, 1])
def test_beside_a_single_row_or_column_lies_the_same_one(axis):  # without a mirror it never ends
    row = np.array([[3, 1, 4, 1, 5]], np.int16)
    image = np.stack(3 * [row.astype(np.float32)], -1)
    place = np.array([[[0, 0], [2, -1], [4, 1], [-1, 7]]], np.float32)
    if axis:
        row, image, place = row.T, image.swapaxes(0, 1), place[..., ::-1]
    found, label = LabelledImage(image, row).sample(np.ascontiguousarray(place))
    assert label.ravel().tolist() == [3, 4, 5, 1]
    np.testing.assert_allclose(found[..., 0].ravel(), [3, 4, 5, 1], atol=1e-4)
