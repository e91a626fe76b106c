import pytest

from experiments.seeds import over_seeds


def result(seed, **means):
    rows = {row: {"1": 0.0, "mean": mean} for row, mean in means.items()}
    return {"name": f"s{seed}", "seeds": [seed], "figures": {"truth": {"flips": 1.0}, **rows}}


def test_mean_and_spread_over_seeds():
    found = over_seeds([result(0, a=80.0, b=1.0), result(1, a=82.0)])
    assert list(found) == ["a"]  # b is of one seed alone, the truth has no mean
    assert found["a"] == {"miou": {0: 80.0, 1: 82.0}, "mean": 81.0, "sigma": pytest.approx(2**0.5)}


def test_results_of_one_seed_are_not_compared():
    with pytest.raises(ValueError, match="s0 is of seed 0"):
        over_seeds([result(0, a=1.0), result(0, a=2.0)])
