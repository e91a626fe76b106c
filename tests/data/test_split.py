import random

from hypothesis import given
from hypothesis import strategies as st

from wrp_jax.data.split import split_sequences

FRAMES = st.dictionaries(st.text(max_size=4), st.integers(1, 400), max_size=20)


@given(FRAMES, st.integers(1, 9), st.randoms())
def test_every_sequence_goes_to_one_shard_wherever_it_is_worked_out(frames, count, rng):
    parts = split_sequences(frames, count)
    assert len(parts) == count
    assert sorted(name for part in parts for name in part) == sorted(frames)
    items = list(frames.items())
    random.Random(rng.random()).shuffle(items)
    assert split_sequences(dict(items), count) == parts


@given(FRAMES, st.integers(1, 9))
def test_no_shard_has_more_than_a_fair_share_and_one_sequence(frames, count):
    loads = [sum(frames[name] for name in part) for part in split_sequences(frames, count)]
    assert max(loads) <= sum(frames.values()) / count + max(frames.values(), default=0)


def test_sequences_as_long_as_each_other_are_dealt_out_by_name():
    frames = dict.fromkeys("dbac", 3)
    assert split_sequences(frames, 3) == (frozenset("ad"), frozenset("b"), frozenset("c"))
    assert split_sequences(frames, 7)[4:] == (frozenset(),) * 3
