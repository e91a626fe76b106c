import numpy as np

from wrp_jax.training.refiner.calibrate import agreement, mislead

VOID = (False, False, False, True)


def blocky(rng, size=64):
    label = rng.integers(0, 4, (8, 8)).repeat(size // 8, 0).repeat(size // 8, 1)
    return label, np.eye(4, dtype=np.float32)[label]


def test_agreement_leaves_void_and_unknown_out():
    label = np.array([[0, 1, 3, -1]])
    said = np.array([[0, 0, 0, 0]])
    assert agreement(said, label, VOID) == 0.25  # IoU 1/2 of class 0, none of class 1
    assert agreement(said, np.full((1, 4), 3), VOID) == 1.0
    assert agreement(said, np.zeros((1, 4), int), VOID) == 1.0


def test_misled_output_agrees_as_much_as_asked_for(rng):
    label, probs = blocky(rng)
    wrong = [mislead(rng, probs, label, VOID, 0.7) for _ in range(20)]
    got = [agreement(w.argmax(-1), label, VOID) for w in wrong]
    assert max(got) <= 0.7 and np.mean(got) > 0.6
    np.testing.assert_allclose(wrong[0].sum(-1), 1.0)


def test_output_that_is_bad_enough_stays(rng):
    label, probs = blocky(rng)
    np.testing.assert_array_equal(mislead(rng, probs, (label + 1) % 3, VOID, 0.7), probs)
