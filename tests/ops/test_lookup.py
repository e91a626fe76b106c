"""The look-up against plain loops, its gradient, and what it must return in known cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops import lookup as lookup_module


def lookup(*arrays, **options):
    return lookup_module.lookup(*map(jnp.asarray, arrays), **options)


def naive(query, memory, labels, flow, num_classes, radius, patch, bandwidth, sigma):
    h, w, _ = query.shape
    votes, distance = np.zeros((h, w, num_classes)), np.zeros((h, w))
    cx = np.clip(np.arange(w) + np.round(flow[..., 0]), 0, w - 1).astype(int)
    cy = np.clip(np.arange(h)[:, None] + np.round(flow[..., 1]), 0, h - 1).astype(int)
    for y in range(h):
        for x in range(w):
            scores, found = [], []
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if not (0 <= cy[y, x] + dy < h and 0 <= cx[y, x] + dx < w):
                        continue
                    total = 0.0
                    for v in range(-patch, patch + 1):
                        for u in range(-patch, patch + 1):
                            py, px = np.clip(y + v, 0, h - 1), np.clip(x + u, 0, w - 1)
                            my = np.clip(cy[py, px] + dy, 0, h - 1)
                            mx = np.clip(cx[py, px] + dx, 0, w - 1)
                            total += np.mean((query[py, px] - memory[my, mx]) ** 2)
                    d = total / (2 * patch + 1) ** 2
                    scores.append(-d / bandwidth - 0.5 * (dx * dx + dy * dy) / sigma**2)
                    found.append((labels[cy[y, x] + dy, cx[y, x] + dx], d))
            weights = np.exp(np.array(scores) - max(scores))
            for weight, (label, _) in zip(weights / weights.sum(), found, strict=True):
                if 0 <= label < num_classes:
                    votes[y, x, label] += weight
            distance[y, x] = min(d for _, d in found)
    return votes, distance


@pytest.mark.parametrize("size", [(7, 9), (3, 4)])
def test_equals_plain_loops(size):
    rng = np.random.default_rng(0)
    query, memory = rng.random((2, *size, 3)).astype(np.float32)
    labels = rng.integers(-1, 4, size)
    flow = rng.normal(size=(*size, 2)).astype(np.float32) * 2
    options = dict(num_classes=4, radius=2, patch=1, bandwidth=0.05, sigma=1.5)
    found = lookup(query[None], memory[None], labels[None], flow[None], **options)
    votes, distance = naive(query, memory, labels, flow, *options.values())
    np.testing.assert_allclose(found.votes[0], votes, atol=1e-5)
    np.testing.assert_allclose(found.distance[0], distance, atol=1e-6)


def test_identical_textured_frames_return_the_label():
    rng = np.random.default_rng(1)
    image = rng.random((1, 12, 14, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (1, 12, 14))
    found = lookup(image, image, labels, np.zeros((1, 12, 14, 2), np.float32), num_classes=3)
    np.testing.assert_array_equal(found.votes.argmax(-1), labels)
    np.testing.assert_allclose(found.votes.sum(-1), 1.0, atol=1e-5)
    assert float(found.distance.max()) == 0.0


def test_corrects_a_flow_that_is_off_by_two_pixels():
    rng = np.random.default_rng(2)
    memory = rng.random((1, 16, 16, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (1, 16, 16))
    query, truth = np.roll(memory, 2, axis=2), np.roll(labels, 2, axis=2)
    found = lookup(query, memory, labels, np.zeros((1, 16, 16, 2), np.float32), num_classes=3)
    inner = (slice(None), slice(None), slice(5, -5))
    np.testing.assert_array_equal(np.asarray(found.votes.argmax(-1))[inner], truth[inner])


def test_void_and_far_flow_find_something():
    rng = np.random.default_rng(3)
    image = rng.random((1, 6, 6, 3)).astype(np.float32)
    flow = np.full((1, 6, 6, 2), 1e9, np.float32)
    flow[0, :3] = np.nan
    found = lookup(image, 1 - image, np.ones((1, 6, 6), int), flow, num_classes=2)
    np.testing.assert_allclose(found.votes[..., 1], 1.0, atol=1e-6)
    assert np.isfinite(found.distance).all()


def test_gradient_matches_finite_differences():
    rng = np.random.default_rng(4)
    with jax.enable_x64(True):
        query, memory = jnp.asarray(rng.random((2, 1, 4, 5, 2)))
        labels = jnp.asarray(rng.integers(0, 3, (1, 4, 5)))
        flow = jnp.asarray(rng.normal(size=(1, 4, 5, 2)))
        wanted = jnp.asarray(rng.random((1, 4, 5, 3)))

        def value(query, memory):
            found = lookup(
                query, memory, labels, flow, num_classes=3, radius=1, patch=1, bandwidth=0.1
            )
            return jnp.sum(found.votes * wanted)

        directions = jnp.asarray(rng.normal(size=(2, 1, 4, 5, 2)))
        gradient = jax.grad(value, argnums=(0, 1))(query, memory)
        slope = sum(jnp.sum(g * d) for g, d in zip(gradient, directions, strict=True))
        step = 1e-6
        up = value(query + step * directions[0], memory + step * directions[1])
        down = value(query - step * directions[0], memory - step * directions[1])
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-5)
