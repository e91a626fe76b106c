"""Anchored labels are those of a slow second implementation, written pixel by pixel in float64."""

import itertools

import numpy as np
import pytest

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.carriers import BETTER, EVERY, PATCH
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, clip_of

COUNT, HEIGHT, WIDTH, KEY = 10, 13, 16, 3
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
PIXELS = list(itertools.product(range(HEIGHT), range(WIDTH)))


@pytest.fixture
def frames(rng) -> np.ndarray:
    """A pattern that moves right by one pixel a frame, under noise; the last frame is grey."""
    wide = rng.integers(0, 200, (HEIGHT, WIDTH + COUNT, 3))
    moving = np.stack([wide[:, COUNT - t : COUNT - t + WIDTH] for t in range(COUNT)])
    frames = (moving + rng.integers(0, 56, moving.shape)).astype(np.uint8)
    frames[-1] = 128
    return frames


def flow_between(target: int, source: int) -> np.ndarray:
    """The true shift with errors, large ones at some pixels, and void flow at others."""
    rng = np.random.default_rng((target, source))
    flow = rng.normal([source - target, 0], 0.2, (HEIGHT, WIDTH, 2))
    wrong = rng.uniform(size=(HEIGHT, WIDTH))
    flow[wrong < 0.15] += rng.normal(scale=6, size=2)
    flow[wrong > 0.95] = np.nan
    return flow.astype(np.float32)


def motion(clip, targets, sources, initial=None):
    return np.stack([flow_between(*map(int, ends)) for ends in zip(targets, sources, strict=True)])


def corners(y: int, x: int, step: np.ndarray) -> tuple[list[tuple[int, int, float]], bool]:
    """The pixels that a vector points between with their weights, and whether it may be read."""
    finite = bool(np.isfinite(step).all())
    to_x, to_y = np.float64([x, y]) + (step if finite else 0)
    valid = finite and 0 <= to_x <= WIDTH - 1 and 0 <= to_y <= HEIGHT - 1
    to_x, to_y = np.clip(to_x, 0, WIDTH - 1), np.clip(to_y, 0, HEIGHT - 1)
    left, top = min(int(to_x), WIDTH - 2), min(int(to_y), HEIGHT - 2)
    right, below = to_x - left, to_y - top
    weights = (1 - below) * (1 - right), (1 - below) * right, below * (1 - right), below * right
    places = (top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)
    return [(*at, weight) for at, weight in zip(places, weights, strict=True)], valid


def sample(source: np.ndarray, flow: np.ndarray) -> np.ndarray:
    moved = np.zeros((HEIGHT, WIDTH, source.shape[-1]))
    for y, x in PIXELS:
        moved[y, x] = sum(part * source[i, j] for i, j, part in corners(y, x, flow[y, x])[0])
    return moved


def patch_errors(image: np.ndarray, key: np.ndarray, flow: np.ndarray) -> np.ndarray:
    error = np.linalg.norm(image - sample(key, flow), axis=-1)
    means = np.full((HEIGHT, WIDTH), np.inf)
    for y, x in PIXELS:
        if corners(y, x, flow[y, x])[1]:
            rows, columns = (slice(max(0, at - PATCH), at + PATCH + 1) for at in (y, x))
            means[y, x] = error[rows, columns].mean()
    return means


def votes_by_loops(frames: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, int]:
    """The share of the vote of each class, and how many pixels began anew."""
    images, one_hot = frames / 255, np.eye(3)[label]
    votes, anew = np.zeros((COUNT, HEIGHT, WIDTH, 3)), 0
    votes[KEY] = one_hot
    for way in (-1, 1):
        flow = np.zeros((HEIGHT, WIDTH, 2))
        for t in range(KEY + way, -1 if way < 0 else COUNT, way):
            step = flow_between(t, t - way).astype(np.float64)
            flow = np.nan_to_num(step) + sample(flow, step)
            if abs(t - KEY) % EVERY == 0:
                straight = flow_between(t, KEY).astype(np.float64)
                chain, direct = (
                    patch_errors(images[t], images[KEY], one) for one in (flow, straight)
                )
                better = direct < BETTER * chain
                flow[better], anew = straight[better], anew + int(better.sum())
            votes[t] = sample(one_hot, flow)
    return votes, anew


def test_labels_are_those_of_loops_over_pixels(frames, rng):
    label = rng.integers(0, 3, (HEIGHT, WIDTH)).astype(np.int32)
    cues = HeldCues(clip_cues(clip_of(frames), motion, None))
    window = LabelledWindow(cues, (Keyframe(KEY, label),), CLASSES, motion)
    options = PropagationConfig(horizon=COUNT)
    result = collect(COUNT, label_frames("motion-only", options, window))
    votes, anew = votes_by_loops(frames, label)
    assert anew > 50  # else composed flow would do as well
    np.testing.assert_allclose(result.confidence, votes.max(-1), atol=1e-3)
    second, first = np.moveaxis(np.sort(votes)[..., 1:], -1, 0)
    clear = first - second > 1e-3
    assert (votes.argmax(-1) == result.labels)[clear].all()
    assert clear.mean() > 0.95
