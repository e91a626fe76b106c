"""What a traced program holds at most."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.traced_peak import traced_peak

KIB = jax.ShapeDtypeStruct((256,), jnp.float32)
pytestmark = pytest.mark.fast


def test_an_array_goes_after_its_last_use():
    def chain(x):
        for _ in range(5):
            x = jnp.sin(x)
        return x

    assert traced_peak(chain, KIB) == 2 * 1024
    assert traced_peak(chain, KIB, donated=False) == 3 * 1024


def test_what_a_later_operation_reads_stays():
    def sum_of_all(x):
        made = [jnp.sin(x), jnp.cos(x), jnp.tan(x)]
        return made[0] * made[1] * made[2]

    assert traced_peak(sum_of_all, KIB) == 4 * 1024


def test_remat_holds_less():
    def loss(x, remat):
        layer = jax.checkpoint(lambda x: jnp.sin(jnp.cos(jnp.sin(jnp.cos(x))))) if remat else None
        for _ in range(8):
            x = jnp.sin(jnp.cos(jnp.sin(jnp.cos(x)))) if layer is None else layer(x)
        return x.sum()

    plain, remat = (
        traced_peak(jax.grad(lambda x, r=remat: loss(x, r)), KIB) for remat in (False, True)
    )
    assert plain >= 33 * 1024
    assert 10 * 1024 <= remat < 16 * 1024


def test_loops_hold_one_turn():
    def loop(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(jnp.cos(c)), None), x, length=100)[0]

    assert traced_peak(loop, KIB) <= 5 * 1024


def test_it_is_about_what_a_compiler_sets_aside():
    def step(w, x):
        def loss(w):
            y = x
            for _ in range(4):
                y = jnp.tanh(y @ w)
            return y.sum()

        return w - 0.1 * jax.grad(loss)(w)

    w, x = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((64, 64), (512, 64)))
    found = jax.jit(step, donate_argnums=0).lower(w, x).compile().memory_analysis()
    assert found is not None
    compiled = found.argument_size_in_bytes + found.temp_size_in_bytes
    assert 0.7 * compiled < traced_peak(step, w, x) < 3 * compiled
