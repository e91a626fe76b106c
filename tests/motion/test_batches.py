"""A program of one batch size, run over any number of examples on the devices there are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.network import Network
from wrp_jax.motion import sdcnet
from wrp_jax.motion.batches import over_devices
from wrp_jax.types import clip_of


def program(variables, first, second, third):
    """Something of every argument; each example is seen alone."""
    product = first * variables["scale"] + second.astype(jnp.float32)
    return product.sum(-1, keepdims=True) - third


@pytest.fixture
def arrays(rng):
    return (
        rng.normal(size=(5, 3, 4, 2)).astype(np.float32),
        rng.integers(0, 256, (5, 3, 4, 2), dtype=np.uint8),
        rng.normal(size=(5, 3, 4, 1)).astype(np.float32),
    )


@pytest.mark.parametrize("per_device", [1, 2])
def test_eight_devices_give_what_one_gives(arrays, monkeypatch, per_device):
    assert len(jax.local_devices()) == 8
    variables = {"scale": np.float32([2.0, -3.0])}
    many = over_devices(program, variables, per_device=per_device)(*arrays)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    one = over_devices(program, variables, per_device=per_device)(*arrays)
    assert many.shape == one.shape == (5, 3, 4, 1)
    np.testing.assert_array_equal(many, one)
    np.testing.assert_allclose(many, program(variables, *arrays), rtol=1e-5)


def test_a_batch_is_spread_over_the_devices(arrays):
    places = []

    def told(variables, first, second, third):
        jax.debug.inspect_array_sharding(first, callback=places.append)
        return program(variables, first, second, third)

    over_devices(told, {"scale": np.float32([1, 1])}, per_device=2)(*arrays)
    shapes = {sharding.shard_shape((16, 3, 4, 2)) for sharding in places}
    assert shapes == {(2, 3, 4, 2)}


def test_no_example_at_all_gives_none_of_the_same_shape(arrays):
    run = over_devices(program, {"scale": np.float32([1, 1])}, per_device=1)
    nothing = run(*(array[:0] for array in arrays))
    assert nothing.shape == (0, 3, 4, 1) and nothing.dtype == np.float32


def test_sdcnet_gives_the_same_on_eight_devices(rng, monkeypatch):
    def apply(variables, clip, flows):
        return variables * flows.sum(1) + clip[..., :2].mean(1) - clip[:, -1, ..., 1:]

    monkeypatch.setattr(sdcnet.sdcnet, "build_sdcnet", lambda: Network(lambda: None, apply))

    def flow(clip, targets, sources, initial=None):
        return clip.stack(targets)[..., :2].astype("f4") - clip.stack(sources)[..., 1:]

    frames = rng.integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)

    def flows():
        motion = sdcnet.sdcnet_motion(np.float32(0.5), flow, 1)
        return motion(clip_of(frames), range(1, 6), range(5))

    assert len(jax.local_devices()) == 8
    many = flows()
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    np.testing.assert_array_equal(many, flows())
    assert many.shape == (5, 20, 30, 2) and len(np.unique(many)) > 100
