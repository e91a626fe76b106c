import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wrp_jax.quality.estimate import REASONS, Weights, class_errors, estimate
from wrp_jax.quality.evidence import SIGNS

WEIGHTS = Weights(border=0.1, shift=1.0, unsure=0.5, lost=2.0, few=1.0)
KNOWN = np.array([True, True, False, False])
VOID = np.array([False, False, False, True])


def frame(**columns):
    """Evidence of four classes, of which the first two have 1000 places."""
    evidence = np.zeros((4, len(SIGNS)), np.float32)
    evidence[:2, 0] = 1000
    for name, values in columns.items():
        evidence[: len(values), SIGNS.index(name)] = values
    return evidence


def test_iou_falls_with_the_signs_of_its_class():
    found = estimate(frame(shift=[250, 0]), KNOWN, VOID, WEIGHTS)
    few = 10 / 1000
    np.testing.assert_allclose(found.iou, [1 / (1.25 + few), 1 / (1 + few), np.nan, np.nan])
    assert found.miou == pytest.approx(np.nanmean(found.iou)) and found.sign == "shift"
    r = 0.25 + few
    assert found.wrong == pytest.approx((r / (2 + r) + few / (2 + few)) / 2)


@pytest.mark.parametrize(
    ("sign", "evidence"),
    [
        ("border", frame(border=[900, 900])),
        ("unsure", frame(unsure=[200, 100])),
        ("lost", frame(lost=[100, 0])),
        ("few", frame(places=[1000, 5])),
        ("gone", frame(places=[1000, 0])),
        ("unlike", frame(unlike=[1000, 900])),
    ],
)
def test_the_sign_that_takes_most_is_told(sign, evidence):
    found = estimate(evidence, KNOWN, VOID, WEIGHTS)
    assert found.sign == sign and sign in REASONS
    if sign == "unsure":
        assert estimate(evidence, KNOWN, VOID, WEIGHTS, both_sides=True).sign == "sides"
    if sign == "unlike":
        assert found.miou < 0.15


def test_void_and_new_classes():
    clean = estimate(frame(), KNOWN, VOID, WEIGHTS).miou
    voids = estimate(frame(places=[1000, 1000, 0, 500], shift=[0, 0, 0, 500]), KNOWN, VOID, WEIGHTS)
    assert voids.miou == pytest.approx(clean) and np.isnan(voids.iou[3])
    # A class that no labelled frame has is mostly a mistake: mIoU counts classes with a true pixel.
    new = estimate(frame(places=[1000, 1000, 30], shift=[0, 0, 120]), KNOWN, VOID, WEIGHTS)
    assert new.iou[2] < 0.25 and clean - 0.01 < new.miou < clean
    nothing = estimate(frame(places=[0, 0, 0, 2000]), KNOWN & False, VOID, WEIGHTS)
    assert np.isnan(nothing.miou)


_SUMS = arrays.arrays(np.float32, (4, len(SIGNS)), elements=st.floats(0, 1e4, width=32))


@settings(max_examples=50, deadline=None)
@given(_SUMS, st.integers(1, 4), st.floats(0, 1e3))
def test_more_of_a_sign_never_helps(evidence, column, more):
    worse = evidence.copy()
    worse[0, column] += np.float32(more)
    before = estimate(evidence, KNOWN, VOID, WEIGHTS)
    after = estimate(worse, KNOWN, VOID, WEIGHTS)
    assert (class_errors(worse, WEIGHTS) >= class_errors(evidence, WEIGHTS)).all()
    if not np.isnan(before.miou):
        assert 0 <= after.miou <= before.miou <= 1 and 0 <= before.wrong <= after.wrong + 1e-12
