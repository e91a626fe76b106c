import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.sharding import global_batch, make_mesh, place, replicate, state_shardings
from wrp_jax.training.loop import TrainingDivergedError, bind, jit_step
from wrp_jax.types import Interrupted, UserError

sys.path.insert(0, str(Path(__file__).parent))
import toy

STEPS = 24


def assert_same(tree, other):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(tree), jax.device_get(other))


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def values(workdir):
    """Metrics without what is measured by a clock."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines(workdir)]


def program(workdir, seconds):
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, toy.__file__, str(workdir), str(STEPS), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run."""
    workdir = tmp_path_factory.mktemp("whole")
    return toy.run(workdir, steps=STEPS), workdir


def test_it_trains(whole):
    state, workdir = whole
    written = lines(workdir)
    assert int(state.step) == STEPS
    assert [line["step"] for line in written] == list(range(3, STEPS + 1, 3))
    assert all(line["stage"] == "toy" for line in written)
    assert written[-1]["loss"] < 0.5 * written[0]["loss"]
    assert 0 <= written[0]["small"] <= 1


def test_killed_at_random_times_and_rerun_equals_uninterrupted(whole, tmp_path):
    for checkpoint in (5, 10):
        process = program(tmp_path, 0.03)
        deadline = time.monotonic() + 300
        while not (tmp_path / f"checkpoints/toy/{checkpoint}").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.6))  # five steps read examples for 0.6 s
        process.kill()
        process.wait()
        process.stderr.close()
        assert process.returncode == -signal.SIGKILL
    state = toy.run(tmp_path, steps=STEPS)
    assert_same(state, whole[0])
    assert values(tmp_path) == values(whole[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal_saves_and_goes_on(whole, tmp_path, number):
    calls = 0

    def stop_once(example, rng):
        nonlocal calls
        calls += 1
        if calls == 8 * 12:
            os.kill(os.getpid(), number)
        return toy.augment(example, rng)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"{number.name} after step [0-9]+ of {STEPS}"):
        toy.run(tmp_path, steps=STEPS, transform=stop_once)
    assert signal.getsignal(number) is before
    steps = [int(path.name) for path in (tmp_path / "checkpoints/toy").iterdir()]
    assert 5 <= max(steps) < STEPS
    state = toy.run(tmp_path, steps=STEPS)
    assert_same(state, whole[0])
    assert values(tmp_path) == values(whole[1])


def test_a_finished_stage_takes_no_step(whole, monkeypatch):
    state, workdir = whole
    before = (workdir / "metrics.jsonl").read_bytes()

    def never(*arguments):
        raise AssertionError("a step was taken")

    again = toy.run(workdir, steps=STEPS, train_step=never)
    assert_same(again, state)
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_one_device_equals_eight(whole, tmp_path):
    assert jax.device_count() == 8
    state = toy.run(tmp_path, steps=STEPS, devices=8)
    assert len(state.params["conv"].sharding.device_set) == 8
    for name, value in whole[0].params.items():
        np.testing.assert_allclose(state.params[name], value, rtol=2e-4, atol=2e-5)
    for one, eight in zip(lines(whole[1]), lines(tmp_path), strict=True):
        assert one["loss"] == pytest.approx(eight["loss"], rel=1e-4)
        assert one["small"] == pytest.approx(eight["small"], abs=0.01)


def test_a_run_goes_on_with_another_number_of_devices(whole, tmp_path):
    toy.run(tmp_path, steps=10, devices=8)
    state = toy.run(tmp_path, steps=STEPS, devices=2)
    for name, value in whole[0].params.items():
        np.testing.assert_allclose(state.params[name], value, rtol=2e-4, atol=2e-5)


def memory(state):
    """Bytes on one device."""
    leaves = jax.tree.leaves(state)
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)


def test_a_state_in_parts_is_trained_as_a_whole_one(whole, tmp_path):
    """And goes on from one layout, and number of devices, to another."""
    toy.run(tmp_path, steps=9, devices=8, sharding="parts")
    toy.run(tmp_path, steps=15, devices=1)
    state = toy.run(tmp_path, steps=STEPS, devices=4, sharding="parts")
    conv = state.params["conv"]
    assert (
        tuple(conv.sharding.spec) == (None, None, None, "part")
        and len(conv.sharding.device_set) == 4
    )
    assert conv.addressable_shards[0].data.shape == (3, 3, 2, 2)
    assert (
        state.opt_state[0].mu["conv"].sharding
        == conv.sharding
        == state.ema["params"]["conv"].sharding
    )
    counters = 2 * 4
    assert memory(state) - counters == (memory(whole[0]) - counters) / 4
    for name, value in whole[0].params.items():
        np.testing.assert_allclose(state.params[name], value, rtol=2e-4, atol=2e-5)
    for one, parts in zip(lines(whole[1]), lines(tmp_path), strict=True):
        assert one["loss"] == pytest.approx(parts["loss"], rel=1e-4)


@pytest.mark.parametrize("rules", ["replicated", "parts"])
def test_the_new_state_takes_the_memory_of_the_old_one(rules):
    mesh = make_mesh()
    start = toy.initial_state()
    shardings = state_shardings(start, mesh, rules)
    state = place(start, shardings)
    batch = global_batch(
        jax.tree.map(lambda *x: np.stack(x), *toy.examples(), toy.examples()[0]), mesh
    )
    key = replicate(jax.random.key_data(jax.random.key(0)), mesh)
    step = bind(toy.train_step)
    program = jit_step(mesh, shardings).lower(step, state, batch, key, None).compile()
    # All of it, but for alignment.
    assert program.memory_analysis().alias_size_in_bytes >= memory(state)
    new, _, _ = program(step, state, batch, key, None)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((new, batch, key)))
    assert all(jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, new, shardings)))


def test_nan_stops_and_keeps_the_checkpoint_before(tmp_path):
    def diverge(state, batch, key):
        state, metrics = toy.train_step(state, batch, key)
        return state, {"loss": jnp.where(state.step >= 12, jnp.nan, metrics["loss"])}

    with pytest.raises(TrainingDivergedError, match="toy: the loss is not finite at step 13"):
        toy.run(tmp_path, steps=STEPS, train_step=diverge)
    steps = sorted(int(path.name) for path in (tmp_path / "checkpoints/toy").iterdir())
    assert steps == [0, 5, 10]


def test_nan_parameters_are_never_saved(tmp_path):
    def spoil(state, batch, key):
        state, _ = toy.train_step(state, batch, key)
        spoiled = jax.tree.map(lambda x: jnp.where(state.step == 9, jnp.nan, x), state.params)
        return state.replace(params=spoiled), {"one": jnp.ones(())}

    with pytest.raises(TrainingDivergedError, match="a parameter is not finite at step 10"):
        toy.run(tmp_path, steps=STEPS, train_step=spoil)
    assert not (tmp_path / "checkpoints/toy/10").exists()


def test_another_class_set_is_refused(whole):
    other = {"classes": {"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]}}
    with pytest.raises(UserError, match=r"trained on 1 classes \(a\), the data has 2 classes"):
        toy.run(whole[1], steps=STEPS, metadata=other)


def test_eval_fn_is_called_at_checkpoints_and_at_the_end(tmp_path):
    seen = []

    def evaluate(state):
        seen.append(int(state.step))
        return {"score": float(seen[-1])}

    toy.run(tmp_path, steps=12, eval_fn=evaluate)
    assert seen == [5, 10, 12]
    assert [line["step"] for line in lines(tmp_path) if "score" in line] == [5, 10, 12]
