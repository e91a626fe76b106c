import numpy as np

from wrp_jax.training.calibrate import agreement, mislead

VOID = (False, False, False, True)


def blocky(rng, size=64):
    label = rng.integers(0, 4, (8, 8)).repeat(size // 8, 0).repeat(size // 8, 1)
    return label, np.eye(4, dtype=np.float32)[label]


def test_agreement_leaves_void_and_unknown_out():
    label = np.array([[0, 1, 3, -1]])
    probs = np.eye(4)[[[0, 2, 0, 0]]]
    assert agreement(probs, label, VOID) == 0.5
    assert agreement(probs, np.full((1, 4), 3), VOID) == 1.0


def test_misled_output_agrees_as_much_as_asked_for(rng):
    label, probs = blocky(rng)
    got = [agreement(mislead(rng, probs, label, VOID, 0.7), label, VOID) for _ in range(20)]
    assert abs(np.mean(got) - 0.7) < 0.05
    wrong = mislead(rng, probs, label, VOID, 0.7)
    np.testing.assert_allclose(wrong.sum(-1), 1.0)


def test_output_that_is_bad_enough_stays(rng):
    label, probs = blocky(rng)
    np.testing.assert_array_equal(mislead(rng, probs, (label + 1) % 3, VOID, 0.7), probs)
