"""Gates over two sides, on gaps in which one side is known to be right."""

import numpy as np

from experiments import gate
from experiments.gate import Gap, compare, disputes, train
from wrp_jax.types import ClassMap

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False, False, True))
N, H, W = 5, 8, 8


def gap_of(name, seed):
    """The later side is right and less sure of it; g_ψ is sure and wrong, and knows no void."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (N, H, W))
    eye = np.eye(3)
    wrong = eye[(truth + 1) % 3] * 0.9 + 0.1 / 3
    right = eye[truth] * 0.6 + 0.4 / 3
    own = np.where(truth == 0, 1, 0)
    return Gap(
        name,
        np.stack([wrong, right]).astype(np.float16),
        (eye[own] * 0.9 + 0.1 / 3).astype(np.float16),
        np.arange(3, dtype=np.int32),
        np.full((3, 2), 0.5, np.float32),
        truth,
        np.array(CLASSES.void),
    )


def test_who_says_what():
    found = disputes(gap_of("x", 0))
    assert len(found.columns) == N * H * W
    np.testing.assert_array_equal(found.right.sum(-1), 1)
    assert found.right[:, 1].all() and found.offered[:, :2].all()
    again = (found.columns[:, 2:] == found.columns[:, :2]).any(-1)
    np.testing.assert_array_equal(found.offered[:, 2], ~again)
    np.testing.assert_allclose(found.sides[0, 0, :, 4], [0.1, 0.5])  # distances, in tens of frames


def test_a_gate_learns_which_side_to_believe_and_the_order_of_sides_plays_no_part(monkeypatch):
    monkeypatch.setattr(gate, "_STEPS", 80)
    monkeypatch.setattr(gate, "_AT_ONCE", 1 << 8)
    there, here = disputes(gap_of("x", 0)), disputes(gap_of("y", 1))
    trained = train([(gap_of("x", 0), there)], void=True, seed=0)
    chosen = trained.choose(here)
    assert (chosen == here.columns[:, 1]).mean() > 0.9
    swapped = here._replace(sides=here.sides[:, :, ::-1])
    np.testing.assert_array_equal(trained.choose(swapped), chosen)


def test_every_choice_is_scored_and_gates_have_not_seen_the_sequence(monkeypatch):
    seen = []

    class Right:
        @staticmethod
        def choose(found):
            return found.columns[:, 1]

    def trained(pairs, *, void, seed):
        seen.append((void, [gap.name for gap, _ in pairs]))
        return Right()

    monkeypatch.setattr(gate, "train", trained)
    gaps = [gap_of("x", 0), gap_of("x", 1), gap_of("y", 2)]
    found = compare({"set": (CLASSES, gaps), "other": (CLASSES, [gap_of("y", 3)])})
    assert found.keys() == {"set", "other"}
    assert seen[:4] == [
        (True, ["y", "y"]), (False, ["y", "y"]), (True, ["x", "x", "y"]), (False, ["x", "x", "y"]),
    ]  # fmt: skip
    scores = found["set"]
    for choice in ("gate", "gate, void passed over", "perfect choice of side"):
        assert scores[choice]["mean"] == scores[choice]["with void"] == 100
        assert scores[choice]["flips"] == scores["truth"]["flips"]
    assert scores["mean"]["mean"] == 0 < scores["nearest"]["mean"] < 100
    # A method that never says void misses all of it.
    assert scores["nearest, never void"]["with void"] < scores["nearest"]["with void"]
