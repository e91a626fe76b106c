import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from wrp_jax.training.pipeline import make_batches
from wrp_jax.types import UserError


class Squares:
    """Random access, 13 examples."""

    def __len__(self):
        return 13

    def __getitem__(self, index):
        return {"index": np.int32(index), "square": np.full((2, 3), index**2, np.float32)}


def jitter(example, rng):
    return {**example, "random": rng.uniform()}


def take(count, batches):
    taken = [next(batches) for _ in range(count)]
    batches.close()
    return taken


def assert_equal_batches(some, others):
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def make(**options):
    options = {"batch_size": 5, "seed": 1, "transform": jitter, **options}
    return make_batches(Squares(), **options)


def test_shapes_and_content():
    batch = take(1, make())[0]
    assert batch["square"].shape == (5, 2, 3)
    np.testing.assert_array_equal(batch["square"][:, 0, 0], batch["index"].astype(float) ** 2)


def test_every_pass_holds_every_example_once_in_another_order():
    indices = np.concatenate([batch["index"] for batch in take(13, make())])
    passes = indices.reshape(5, 13)
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(13), (5, 1)))
    assert len({tuple(order) for order in passes}) == 5


def test_transforms_draw_anew_in_every_pass():
    batches = take(13, make())
    draws = np.concatenate([batch["random"] for batch in batches])
    assert len(set(draws.tolist())) == 65


def test_without_shuffle_the_order_is_that_of_the_source():
    indices = np.concatenate([batch["index"] for batch in take(3, make(shuffle=False))])
    np.testing.assert_array_equal(indices, np.arange(15) % 13)


def test_one_seed_one_stream_whatever_the_threads():
    reference = take(8, make(threads=1))
    assert_equal_batches(reference, take(8, make(threads=5)))
    other = take(8, make(seed=2))
    assert any((a["index"] != b["index"]).any() for a, b in zip(reference, other, strict=True))


@pytest.mark.parametrize("position", [0, 1, 4, 30])
def test_resumes_at_any_position(position):
    whole = take(position + 4, make())
    batches = make()
    for _ in range(position):
        next(batches)
    state = batches.get_state()
    batches.close()
    resumed = make(threads=3)
    next(resumed)  # a position of its own, to be forgotten
    resumed.set_state(state)
    assert_equal_batches(take(4, resumed), whole[position:])


def test_closing_keeps_the_position():
    batches = make()
    first = next(batches)
    batches.close()
    assert_equal_batches([first, *take(3, batches)], take(4, make()))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_the_same_global_batches(processes):
    whole = take(4, make(batch_size=8))
    parts = [
        take(4, make(batch_size=8, process_index=i, process_count=processes))
        for i in range(processes)
    ]
    for step, batch in enumerate(whole):
        assert all(len(part[step]["index"]) == 8 // processes for part in parts)
        for name in ("index", "random"):  # in the same order, as a global array has them
            merged = np.concatenate([part[step][name] for part in parts])
            np.testing.assert_array_equal(merged, batch[name])


@hypothesis.given(
    examples=st.integers(1, 11),
    processes=st.integers(1, 6),
    part=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    position=st.integers(0, 5),
    shuffle=st.booleans(),
)
@hypothesis.settings(max_examples=12, deadline=None)
def test_any_number_of_processes_reads_everything_once_from_any_position(
    examples, processes, part, seed, position, shuffle
):
    def read(process_index, process_count, start, count):
        batches = make_batches(
            range(examples),
            batch_size=processes * part,
            seed=seed,
            transform=lambda example, rng: np.array([example, rng.integers(1 << 30)]),
            shuffle=shuffle,
            process_index=process_index,
            process_count=process_count,
            threads=0,  # hypothesis takes for its own what readers do with random numbers meanwhile
        )
        batches.set_state({"next_index": start})
        return take(count, batches)

    whole = np.concatenate(read(0, 1, 0, position + 2))
    indices = whole[:, 0]
    for start in range(0, len(indices) - examples + 1, examples):
        assert sorted(indices[start : start + examples]) == list(range(examples))
    shards = [read(i, processes, position, 2) for i in range(processes)]
    union = np.concatenate([shard[step] for step in range(2) for shard in shards])
    np.testing.assert_array_equal(union, whole[position * processes * part :])


def test_fewer_examples_than_a_batch():
    batch = take(1, make_batches([np.float32(7)], batch_size=4, seed=0))[0]
    np.testing.assert_array_equal(batch, np.full(4, 7.0))


def test_batches_of_one():
    singles = [batch["index"] for batch in take(10, make(batch_size=1))]
    np.testing.assert_array_equal(
        np.concatenate(singles), np.concatenate([batch["index"] for batch in take(2, make())])
    )


def test_no_examples_and_batches_that_do_not_divide_are_refused():
    with pytest.raises(UserError, match="no labelled frame"):
        make_batches([], batch_size=4, seed=0)
    with pytest.raises(UserError, match="batch_size 5 is not a multiple of the 2 processes"):
        make(process_count=2)


class Pair(NamedTuple):
    a: np.ndarray
    b: tuple


def pair(example, rng):
    return Pair(example["index"], (rng.uniform(),))


def test_worker_processes_give_the_same_batches():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import multiprocessing, os, signal\n"
        "import numpy as np, test_pipeline as t\n"
        "if __name__ == '__main__':\n"
        "    batches = t.make(transform=t.pair, workers=2)\n"
        "    batches.set_state({'next_index': 2})\n"
        "    first = [next(batches) for _ in range(2)]\n"
        "    for worker in multiprocessing.active_children():\n"
        "        os.kill(worker.pid, signal.SIGINT)\n"  # Ctrl-C is for the program to answer
        "    for batch in [*first, *t.take(8, batches)]:\n"
        "        assert type(batch.a) is np.ndarray and type(batch.b) is tuple\n"
        "        print(*batch.a, *batch.b[0])\n"
    )
    here = Path(__file__).parent
    result = subprocess.run(
        [sys.executable, "-c", program, str(here)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}"}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "KeyboardInterrupt" not in result.stderr
    expected = take(12, make(transform=pair))[2:]
    lines = [" ".join(map(str, [*batch.a, *batch.b[0]])) for batch in expected]
    assert result.stdout.splitlines() == lines


def test_readers_leave_their_batch_when_it_is_closed():
    calls, gate, others = [], threading.Event(), set(threading.enumerate())

    def slow(example, rng):
        calls.append(example)
        if len(calls) > 4:
            assert gate.wait(60)
        return example

    batches = make_batches(range(40), batch_size=4, seed=0, transform=slow, threads=1)
    next(batches)
    readers = set(threading.enumerate()) - others
    assert readers
    while len(calls) < 5:
        time.sleep(0.01)
    batches.close()
    gate.set()
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()
    assert len(calls) == 5
    assert len(next(batches)) == 4  # and goes on where it was
    batches.close()
