from __future__ import annotations

import numpy as np
import pytest

from wrp_jax.config import MotionConfig
from wrp_jax.motion.build import build_motion
from wrp_jax.types import UserError, clip_of


def textured(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    import cv2

    noise = cv2.GaussianBlur(rng.uniform(size=(h, w, 3)).astype(np.float32), (0, 0), 1.5)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return (255 * noise).astype(np.uint8)


def test_zero_motion_is_zero(rng):
    frames = rng.integers(0, 255, (3, 17, 31, 3)).astype(np.uint8)
    flow = build_motion(MotionConfig(name="zero"))(clip_of(frames), [1, 2], [0, 1])
    assert flow.shape == (2, 17, 31, 2)
    assert flow.dtype == np.float32
    np.testing.assert_array_equal(flow, 0)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium", "fine"])
def test_dis_finds_a_shift_and_its_direction(rng, preset):
    scene = textured(rng, 110, 140)
    source, target = scene[:100, :120], scene[2:102, 5:125]  # target[y, x] = source[y+2, x+5]
    clip = clip_of(np.stack([source, target]))
    flow = build_motion(MotionConfig(preset=preset))(clip, [1], [0])
    assert np.median(np.abs(flow[0, 10:-10, 10:-15] - [5, 2])) < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 31), (65, 7), (101, 67)])
def test_dis_takes_tiny_and_odd_sizes(rng, size):
    frames = rng.integers(0, 255, (2, *size, 3)).astype(np.uint8)
    flow = build_motion(MotionConfig())(clip_of(frames), [0], [1])
    assert flow.shape == (1, *size, 2)
    assert np.isfinite(flow).all()


def test_dis_takes_a_first_guess_and_forgets_it(rng):
    scene = textured(rng, 110, 200)
    source, target = scene[:100, :120], scene[:100, 60:180]  # too far to find from nothing
    guess = np.broadcast_to(np.float32([58, 0]), (1, 100, 120, 2)).copy()
    guess[0, :3] = np.nan
    motion, clip = build_motion(MotionConfig()), clip_of(np.stack([source, target]))
    seen = np.s_[0, 10:-10, 5:45]
    before = motion(clip, [1], [0])
    with_guess = motion(clip, [1], [0], guess)
    assert np.isfinite(with_guess).all()
    assert np.median(np.abs(with_guess[seen] - [60, 0])) < 0.5
    assert np.median(np.abs(before[seen] - [60, 0])) > 5
    np.testing.assert_array_equal(motion(clip, [1], [0]), before)


@pytest.mark.parametrize("config", [MotionConfig(name="x"), MotionConfig(preset="x")])
def test_unknown_names_are_refused(config):
    with pytest.raises(UserError, match="'x' is unknown: use one of"):
        build_motion(config)
