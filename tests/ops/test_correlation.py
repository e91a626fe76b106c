from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.ops import correlation


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    f1 = rng.normal(size=(2, 6, 8, 5)).astype(np.float32)
    f2 = rng.normal(size=(2, 9, 11, 5)).astype(np.float32)
    # Inside, on cell borders, just outside and far outside, also beyond what int32 holds.
    coords = rng.uniform(-6, 14, size=(2, 6, 8, 2)).astype(np.float32)
    coords[0, 0, 0], coords[0, 0, 1], coords[0, 0, 2] = (3, 2), (1e12, -1e12), (10.0, 8.0)
    return f1, f2, coords


def _slow_lookup(f1, f2, coords, radius, levels):
    """Sample by sample, as the paper's equation 2 reads."""
    b, h, w, c = f1.shape
    out = np.zeros((b, h, w, levels * (2 * radius + 1) ** 2))
    volume = np.einsum("bhwc,bijc->bhwij", f1, f2) / np.sqrt(c)
    k = 0
    for level in range(levels):
        if level:
            hl, wl = volume.shape[3] // 2, volume.shape[4] // 2
            cut = volume[:, :, :, : 2 * hl, : 2 * wl]
            volume = cut.reshape(b, h, w, hl, 2, wl, 2).mean(axis=(4, 6))
        hl, wl = volume.shape[3:]
        for a in range(-radius, radius + 1):
            for d in range(-radius, radius + 1):
                for index in np.ndindex(b, h, w):
                    x, y = coords[index] / 2**level + (a, d)
                    x0, y0 = int(np.floor(x)), int(np.floor(y))
                    for xi, yi in ((x0, y0), (x0 + 1, y0), (x0, y0 + 1), (x0 + 1, y0 + 1)):
                        if 0 <= xi < wl and 0 <= yi < hl:
                            weight = (1 - abs(x - xi)) * (1 - abs(y - yi))
                            out[(*index, k)] += weight * volume[(*index, yi, xi)]
                k += 1
    return out


def test_lookup_is_the_equation(maps):
    f1, f2, coords = maps
    pyramid = correlation.correlation_pyramid(jnp.asarray(f1), jnp.asarray(f2), levels=3)
    assert [p.shape[3:] for p in pyramid] == [(9, 11), (4, 5), (2, 2)]
    samples = correlation.lookup(pyramid, jnp.asarray(coords), 2)
    np.testing.assert_allclose(samples, _slow_lookup(f1, f2, coords, 2, 3), atol=1e-5)


def test_on_the_fly_equals_the_volume_and_so_do_its_gradients(maps):
    f1, f2, coords = map(jnp.asarray, maps)

    def volume(f1, f2):
        return correlation.lookup(correlation.correlation_pyramid(f1, f2, 3), coords, 2)

    def fly(f1, f2):
        return correlation.lookup_on_the_fly(f1, correlation.feature_pyramid(f2, 3), coords, 2)

    np.testing.assert_allclose(jax.jit(fly)(f1, f2), jax.jit(volume)(f1, f2), atol=2e-6)
    weight = jnp.cos(jnp.arange(75.0))
    expected, got = (
        jax.jit(jax.grad(lambda a, b, look=look: (look(a, b) * weight).sum(), (0, 1)))(f1, f2)
        for look in (volume, fly)
    )
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_memory_is_that_of_the_pyramid(maps):
    f1 = jnp.asarray(maps[0])
    pyramid = correlation.correlation_pyramid(f1, f1, levels=2)
    assert correlation.pyramid_bytes(2, 6, 8, levels=2) == sum(p.nbytes for p in pyramid)


def test_local_correlation_is_its_definition():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1, 5, 7, 3)).astype(np.float32)
    got = correlation.local_correlation(jnp.asarray(a), jnp.asarray(b), radius=4, stride=2)
    expected = np.zeros((1, 5, 7, 25))
    for k, (dy, dx) in enumerate((y, x) for y in range(-4, 5, 2) for x in range(-4, 5, 2)):
        for y, x in np.ndindex(5, 7):
            if 0 <= y + dy < 5 and 0 <= x + dx < 7:
                expected[0, y, x, k] = (a[0, y, x] * b[0, y + dy, x + dx]).mean()
    np.testing.assert_allclose(got, expected, atol=1e-6)
