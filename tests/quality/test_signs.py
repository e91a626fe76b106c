import numpy as np
import pytest

from wrp_jax.quality.signs import (
    Signs,
    follow,
    grid_step,
    least,
    on_grid,
    pack,
    start_trail,
    unpack,
)

H, W = 40, 60


def texture(shift=0):
    """A picture without edges that moves to the right."""
    x, y = np.meshgrid(np.arange(W) - shift, np.arange(H))
    waves = np.stack([np.sin(x / 5 + y / 7), np.cos(x / 6 - y / 4), np.sin(x / 4 + y / 9)], -1)
    return np.rint(127 + 100 * waves).astype(np.uint8)


def flow(dx):
    return np.full((H, W, 2), (dx, 0), np.float32)


def test_right_flow_leaves_no_sign_but_what_enters():
    trail, signs = start_trail(texture()), None
    for step in (1, 2, 3):
        trail, signs = follow(trail, flow(-2), texture(2 * step))
    assert signs is not None
    inner = slice(2, -2), slice(10, -2)
    assert signs.shift[inner].max() < 0.2 and signs.colour[inner].max() < 0.05
    assert (signs.lost[:, :6] == 1).all() and not signs.lost[:, 6:].any()
    np.testing.assert_allclose(trail.way[:, 10:, 0], -6, atol=1e-4)


@pytest.mark.parametrize("off", [1, 2])
def test_flow_that_misses_shows_by_how_much(off):
    _, right = follow(start_trail(texture()), flow(-2), texture(2))
    _, wrong = follow(start_trail(texture()), flow(-2 + off), texture(2))
    inner = slice(2, -2), slice(10, -10)
    assert wrong.shift[inner].mean() > right.shift[inner].mean() + 0.3 * off
    assert wrong.colour[inner].mean() > right.colour[inner].mean() + 0.05


def test_another_scene_has_other_colours():
    other = np.random.default_rng(0).integers(0, 256, (H, W, 3)).astype(np.uint8)
    _, signs = follow(start_trail(texture()), flow(0), other)
    assert (signs.colour > 0.2).mean() > 0.95


def test_void_flow_is_lost_and_spoils_nothing_else():
    void = flow(-2)
    void[5, 30] = np.nan
    trail, signs = follow(start_trail(texture()), void, texture(2))
    assert signs.lost[5, 30] == 1 and signs.lost[5, 31] == 0
    assert np.isfinite(trail.way).all() and np.isfinite(signs.shift).all()


def test_large_frames_are_seen_on_a_grid():
    assert grid_step(240, 250) == 1 and grid_step(2160, 3840) == 12
    image = np.zeros((2160, 3840, 3), np.uint8)
    image[:, 1920:] = 255
    small = on_grid(image)
    assert small.shape == (180, 320, 3) and small[0, 0, 0] == 0 and small[0, -1, 0] == 1
    _, signs = follow(start_trail(image), np.full((2160, 3840, 2), 24, np.float32), image)
    assert (signs.lost[:, -2:] == 1).all() and not signs.lost[:-2, :-2].any()


def test_of_two_sides_the_better_counts():
    one = Signs(*np.float32([[[0, 4]], [[1, 0]], [[0.5, 1]]]))
    two = Signs(*np.float32([[[1, 2]], [[0, 0]], [[0.2, 1.5]]]))
    best = least(one, two)
    np.testing.assert_array_equal(np.stack(best), np.float32([[[0, 2]], [[0, 0]], [[0.2, 1]]]))
    for kept, made in zip(unpack(pack(two)), two, strict=True):
        np.testing.assert_allclose(kept, made, atol=0.01)
