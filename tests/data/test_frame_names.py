from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrp_jax.data.frame_names import in_order, natural_key

CERTAIN = {
    "digits": ["f0", "f1", "f2", "f10"],
    "padded": ["0016E5_000002", "0016E5_000010"],
    "number in the middle": ["a_9_leftImg8bit", "a_10_leftImg8bit"],
    "decimal seconds": ["0", "0.05", "0.1", "2", "10.5"],
    "decimal seconds with letters": ["t=0.05s", "t=0.1s", "t=0.15s"],
    "decimal comma": ["0,05", "0,1"],
    "fixed digits behind the point": ["1305031102.175304", "1305031102.211214"],
    "time stamps without zeros at the end": ["9.03", "9.1753", "9.211214"],
    "negative": ["-10", "-2", "-1", "0", "1"],
    "negative alone": ["-3", "-2", "-1"],
    "negative decimals": ["-0.5", "-0.05", "0", "0.5"],
    "minus sign": ["\u22122", "\u22121", "0"],
    "plus": ["-1", "0", "+1"],
    "negative behind letters": ["t-10", "t-1", "t0", "t5"],
    "hyphen that separates": ["frame-1", "frame-2", "frame-10"],
    "exponents": ["1e-3", "2e-3", "1e-2", "5e+0"],
    "exponents of one size": ["1.5e-3", "2.5e-3", "1e-2"],
    "counts behind a point": ["1.1", "1.9", "1.10", "1.11"],
    "counts behind a name and a point": ["frame.1", "frame.9", "frame.10"],
    "dates": ["2021-05-30", "2021-06-01"],
    "decimals behind another number": ["x1_0.05", "x1_0.1", "x2_0.05"],
    "one": ["x"],
    "none": [],
}


@pytest.mark.parametrize("kind", CERTAIN)
@given(data=st.data())
def test_what_names_tell_for_certain(kind, data):
    names = CERTAIN[kind]
    order = in_order(data.draw(st.permutations(names)))
    assert order.names == tuple(names) and order.unsure is None


@pytest.mark.parametrize(
    ("names", "unsure"),
    [
        (["0.1", "0.15", "0.2"], ("0.15", "0.2")),  # or counts: 0.1, 0.2, 0.15
        (["9e4", "1e5"], ("9e4", "1e5")),  # or hexadecimal
        (["01", "1"], ("01", "1")),
        (["1", "1.0"], ("1", "1.0")),
        (["a", "b"], ("a", "b")),
        (["img", "img1"], ("img", "img1")),
        (["IMG_2", "img_1"], ("IMG_2", "img_1")),
        (["1_01", "1_1", "2_01"], ("1_01", "1_1")),
    ],
)
def test_what_they_do_not_tell(names, unsure):
    order = in_order(names[::-1])
    assert order.names == tuple(names) and order.unsure == unsure


@given(st.lists(st.decimals(-1000, 1000, places=3), min_size=2, max_size=30, unique=True))
def test_decimals_as_programs_write_them(values):
    """Without zeros at the end, as Python does, beside the whole number 0."""
    values = sorted({*values, Decimal(0), Decimal("-0.5")})
    names = [f"{value.normalize():f}" for value in values]
    order = in_order(sorted(names))
    assert order.names == tuple(names) and order.unsure is None
    assert order.numbers == tuple(values)


@given(st.lists(st.text("a0129_.-e+²", max_size=7), unique=True, max_size=8), st.randoms())
def test_any_names_have_one_order(names, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    order = in_order(names)
    assert order == in_order(shuffled)
    assert sorted(order.names) == sorted(names)
    assert order.numbers is None or len(order.numbers) == len(names)


@given(st.lists(st.text("a0129_²", max_size=6), unique=True))
def test_natural_order_is_one_order_of_distinct_names(names):
    assert sorted(names, key=natural_key) == sorted(names[::-1], key=natural_key)


def test_numbers_are_those_that_count_the_frames():
    assert in_order(["a_9_leftImg8bit", "a_10_leftImg8bit"]).numbers == (9, 10)
    assert in_order(["1_5", "1_7", "2_1"]).numbers == (5, 7, 1)
    assert in_order(["a", "b1"]).numbers is None
