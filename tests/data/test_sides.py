"""Windows between labelled frames: which there are, and which frames are labelled in them."""

from hypothesis import given
from hypothesis import strategies as st
from names_only import NamesOnly

from wrp_jax.data.sides import between_keyframes
from wrp_jax.data.windows import (
    labelled_between,
    owners,
    seen_frames,
    window_frames,
    windows_of_keyframes,
)
from wrp_jax.types import Window


def numbered(count, keys):
    names = tuple(f"{i:03d}" for i in range(count))
    return NamesOnly(names, [names[key] for key in keys])


def joined(count, keys, horizon):
    source = numbered(count, keys)
    around = windows_of_keyframes(source, None, horizon)
    return around, between_keyframes(around, source, horizon), source


def test_by_hand():
    _, windows, _ = joined(9, [2, 6], 3)
    assert windows == (
        Window("s", "002", "000", "002"),
        Window("s", "002", "002", "006", "006", 3),
        Window("s", "006", "006", "008"),
    )


def test_one_labelled_frame_and_such_as_are_far_apart_stay_as_they_were():
    for keys in ([4], [0, 10], [3, 13]):
        around, windows, _ = joined(16, keys, 3)
        assert windows == around


@given(st.integers(2, 40), st.data(), st.integers(1, 12))
def test_every_frame_within_reach_once_and_by_all_that_are_near(count, data, horizon):
    keys = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    _, windows, source = joined(count, keys, horizon)
    owner, names = owners(windows, source), source.frame_names("s")
    reached = {i for i in range(count) if min(abs(key - i) for key in keys) <= horizon}
    assert {names.index(name) for _, name in owner} == reached
    for i in reached - keys:
        before = max((key for key in keys if key < i), default=None)
        after = min((key for key in keys if key > i), default=None)
        near = [k for k in (before, after) if k is not None and abs(k - i) <= 2 * horizon]
        window = owner["s", names[i]]
        assert names[i] in window_frames(window, source)
        reach = window.reach or count
        said = [names.index(k) for k in window.keys if abs(names.index(k) - i) <= reach]
        assert said == near


@given(st.integers(2, 40), st.data(), st.integers(1, 12))
def test_a_gap_of_twice_the_horizon_is_labelled_whole(count, data, horizon):
    first = data.draw(st.integers(0, count - 2))
    last = data.draw(st.integers(first + 1, min(count - 1, first + 2 * horizon + 1)))
    _, windows, source = joined(count, [first, last], horizon)
    owner, names = owners(windows, source), source.frame_names("s")
    assert all(("s", names[i]) in owner for i in range(first, last + 1))
    assert all(len(owner["s", names[i]].keys) == 2 for i in range(first + 1, last))


@given(st.integers(2, 40), st.data(), st.integers(1, 6))
def test_all_that_are_within_reach_have_a_say_on_request(count, data, horizon):
    keys = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    around, both, source = joined(count, keys, horizon)
    windows = between_keyframes(around, source, horizon, further=True)
    names, owner = source.frame_names("s"), owners(windows, source)
    for window, plain in zip(windows, both, strict=True):
        assert (window.key, window.first, window.last, window.other) == (
            plain.key, plain.first, plain.last, plain.other,
        )  # fmt: skip
        assert window.further or window == plain  # and is known by what it was known by
        seen = seen_frames(window, source)
        assert {window.first, window.last, *window.keys, *window.further} <= set(seen)
    for i in range(count):
        window = owner.get(("s", names[i]))
        if window is None or i in keys:
            continue
        asked = {names.index(key) for key in (*window.keys, *window.further)}
        assert {key for key in keys if abs(key - i) <= 2 * horizon} <= asked
        first, last = labelled_between(window, names)
        assert first <= i <= last


def test_what_a_window_is_known_by_has_further_ones_only_where_there_are_some():
    plain = Window("s", "002", "002", "006", "006", 3)
    assert plain.identity == ("s", "002", "002", "006", "006", 3)
    more = Window("s", "002", "002", "006", "006", 3, ("000", "009"))
    assert more.identity == ("s", "002", "002", "006", "006", 3, ("000", "009"))
    assert more.keys == ("002", "006") and more.reach == 6
