import numpy as np

from wrp_jax.training.refiner.calibrate import agreement, match_agreement

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
    wrong = [match_agreement(rng, probs, label, VOID, 0.7) for _ in range(20)]
    got = [agreement(w.argmax(-1), label, VOID) for w in wrong]
    assert max(got) <= 0.7 and np.mean(got) > 0.6
    np.testing.assert_allclose(wrong[0].sum(-1), 1.0)


def test_helped_output_agrees_as_much_as_asked_for(rng):
    label, probs = blocky(rng)
    poor = 0.8 * np.roll(probs, 1, axis=-1) + 0.2 * probs
    helped = [match_agreement(rng, poor, label, VOID, 0.6) for _ in range(20)]
    got = [agreement(w.argmax(-1), label, VOID) for w in helped]
    assert min(got) >= 0.6 and np.mean(got) < 0.7
    np.testing.assert_allclose(helped[0].sum(-1), 1.0, atol=1e-5)
    kept = [np.array_equal(a, b) for a, b in zip(helped[0][::8, 0], poor[::8, 0], strict=True)]
    assert any(kept) and not all(np.array_equal(h, poor) for h in helped)


def test_output_is_helped_as_far_as_borders_allow(rng):
    """A network does not draw borders to the pixel: full agreement is out of reach."""
    label, _ = blocky(rng)
    nothing = np.full((*label.shape, 4), 0.25, np.float32)
    helped = [match_agreement(rng, nothing, label, VOID, 1.0) for _ in range(5)]
    got = [agreement(w.argmax(-1), label, VOID) for w in helped]
    assert min(got) > 0.5 and max(got) < 1.0


def test_where_the_truth_is_unknown_the_output_stays_what_it_was(rng):
    label = np.full((32, 32), -1)
    label[:, :16] = 0
    probs = np.broadcast_to(np.eye(4, dtype=np.float32)[2], (32, 32, 4))
    helped = match_agreement(rng, probs, label, VOID, 0.9)
    assert (helped[:, 24:].argmax(-1) == 2).all()
    assert (helped[:, :8].argmax(-1) == 0).mean() > 0.8
