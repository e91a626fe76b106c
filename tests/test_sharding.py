import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax import sharding
from wrp_jax.sharding import (
    RULES,
    batch_sharding,
    gather,
    global_batch,
    largest_axis,
    make_mesh,
    mesh_for_batch,
    own_parts,
    place,
    replicate,
    replicated,
    state_shardings,
    whole,
)
from wrp_jax.training.device_batches import DeviceBatches
from wrp_jax.training.pipeline import make_batches
from wrp_jax.types import UserError


def device_batches():
    examples = [{"x": np.float32([i])} for i in range(11)]
    mesh = make_mesh()
    return DeviceBatches(make_batches(examples, batch_size=4 * mesh.size, seed=0), mesh)


def test_mesh_holds_all_devices_on_automatic_axes():
    mesh = make_mesh()
    assert mesh.axis_names == ("group", "part")
    assert mesh.size == jax.device_count()
    assert mesh.axis_types == (jax.sharding.AxisType.Auto,) * 2


def test_a_batch_arrives_whole():
    mesh = make_mesh()
    batch = {"x": np.arange(2 * mesh.size * 3, dtype=np.float32).reshape(-1, 3)}
    array = global_batch(batch, mesh)["x"]
    assert array.sharding == batch_sharding(mesh)
    np.testing.assert_array_equal(array, batch["x"])


def test_replicated_leaves_that_shared_a_buffer_can_be_donated():
    mesh = make_mesh()
    host, shared = np.ones((64, 64), np.float32), jnp.ones((64, 64))
    tree = replicate({"a": shared, "b": shared, "c": host}, mesh)
    assert all(leaf.sharding == replicated(mesh) for leaf in tree.values())
    double = jax.jit(lambda t: jax.tree.map(lambda x: 2 * x, t), donate_argnums=0)
    tree = double(double(tree))
    assert all(float(leaf.sum()) == 4 * 64 * 64 for leaf in tree.values())
    assert host.sum() == 64 * 64  # the caller's memory is its own
    assert float(shared.sum()) == 64 * 64


@pytest.mark.parametrize(
    ("shape", "parts", "spec"),
    [
        ((3, 3, 64, 128), 8, (None, None, None, "part")),
        ((3, 3, 128, 64), 8, (None, None, "part")),
        ((3, 3, 64, 64), 8, (None, None, None, "part")),  # of equal ones the last
        ((720, 513), 8, ("part",)),  # the largest that divides
        ((721, 513), 8, ()),
        ((3, 3, 32, 48), 8, ()),  # too small
        ((512, 512), 1, ()),
        ((), 8, ()),
    ],
)
def test_the_largest_axis_that_divides_is_split(shape, parts, spec):
    assert largest_axis(shape, parts) == jax.sharding.PartitionSpec(*spec)


def test_the_first_rule_that_fits_the_path_decides(monkeypatch):
    rules = (("params/head/.*", whole), ("params/.*", largest_axis), (".*", whole))
    monkeypatch.setitem(RULES, "some", rules)
    leaf = jax.ShapeDtypeStruct((128, 128), jnp.float32)
    state = {"params": {"body": {"w": leaf}, "head": {"w": leaf}}, "batch_stats": {"m": leaf}}
    specs = jax.tree.map(lambda s: tuple(s.spec), state_shardings(state, make_mesh(), "some"))
    assert specs == {
        "params": {"body": {"w": (None, "part")}, "head": {"w": ()}}, "batch_stats": {"m": ()}
    }  # fmt: skip


def test_more_devices_than_a_group_hold_the_state_more_than_once(monkeypatch):
    monkeypatch.setattr(sharding, "GROUP", 4)
    mesh, value = make_mesh(), np.arange(2**14, dtype=np.float32).reshape(128, 128)
    laid = state_shardings({"w": value}, mesh, "fsdp")
    array = place({"w": value}, laid)["w"]
    assert array.addressable_shards[0].data.shape == (128, 32)
    assert sorted(s.replica_id for s in array.addressable_shards) == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(gather(array), value)


def test_an_array_in_parts_comes_back_whole(rng):
    mesh = make_mesh()
    value = rng.normal(size=(4, 2 * mesh.size))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "part"))
    tree = place(
        {"split": value, "count": np.int32(3)}, {"split": split, "count": replicated(mesh)}
    )
    assert tree["split"].sharding == split and tree["split"].addressable_shards[0].data.shape == (
        4,
        2,
    )
    np.testing.assert_array_equal(
        np.concatenate(own_parts(tree["split"]), axis=1), np.float32(value)
    )
    assert len(own_parts(tree["count"])) == 1
    np.testing.assert_array_equal(gather(tree)["split"], np.float32(value))


@pytest.mark.parametrize(("batch", "devices"), [(24, 8), (8, 8), (12, 6), (9, 3), (4, 4), (1, 1)])
def test_as_many_devices_as_divide_a_batch(batch, devices, capsys):
    assert jax.device_count() == 8
    assert mesh_for_batch(batch).size == devices
    said = capsys.readouterr().err
    assert said.startswith(f"{devices} of 8 devices are used") == (devices < 8)


def test_a_batch_that_does_not_divide_over_processes_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match=r"batch_size 9 does not divide .* multiple of 8"):
        mesh_for_batch(9)


def test_state_is_that_of_the_batch_handed_out_next():
    batches = device_batches()
    whole = [np.asarray(next(batches)["x"]) for _ in range(9)]
    for position in (0, 1, 5):
        fresh = device_batches()
        for _ in range(position):
            next(fresh)
        state = fresh.get_state()
        assert state == {"next_index": position}
        resumed = device_batches()
        next(resumed)
        resumed.set_state(state)
        for expected in whole[position : position + 3]:
            np.testing.assert_array_equal(next(resumed)["x"], expected)
