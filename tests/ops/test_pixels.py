from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.ops.pixels import unit_range

EVERY = np.arange(256, dtype=np.uint8)


def test_the_host_and_compiled_programs_agree_to_the_last_bit():
    host = EVERY.astype(np.float32) / np.float32(255)
    for found in (unit_range(jnp.asarray(EVERY)), jax.jit(unit_range)(EVERY)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, host)
    # Nor does it matter what the numbers are used for.
    used = jax.jit(lambda frame: unit_range(frame) * 0.5 - unit_range(frame)[::-1] * 2.0)(EVERY)
    np.testing.assert_array_equal(used, host * np.float32(0.5) - host[::-1] * np.float32(2))


def test_other_kinds_of_numbers(x64):
    found = unit_range(jnp.asarray(EVERY), jnp.float64)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, EVERY / 255, rtol=1e-7)
