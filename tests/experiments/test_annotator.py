from experiments.next_frames import simulate, uniform
from wrp_jax.quality.table import FrameQuality


class Fake:
    """Labels a clip whose last frames go wrong most; its score tells which frames were labelled."""

    names = tuple(f"{i:02d}" for i in range(20))

    def __init__(self):
        self.asked = []

    def label(self, places):
        self.asked.append(sorted(places))
        errors = [min(abs(i - place) for place in places) * (i + 1) / 10 for i in range(20)]
        rows = [
            FrameQuality(
                "a", name, int(i not in places), 100.0 - errors[i], 0.0, 100.0, 0.0, "", {}
            )
            for i, name in enumerate(self.names)
        ]
        return 100.0 - sum(errors) / 20, rows


def test_labels_are_spread_evenly():
    assert uniform(20, 1) == [10] and uniform(20, 2) == [5, 15]
    assert uniform(4, 4) == [0, 1, 2, 3]


def test_every_strategy_has_as_many_labels_and_starts_alike():
    fake = Fake()
    found = simulate(fake, [2, 4])  # type: ignore[arg-type]
    assert [len(places) for places in fake.asked] == [1, *[2] * 5, *[4] * 5]
    assert len({scores["1"] for scores in found.values()}) == 1
    assert all(set(scores) == {"1", "2", "4"} for scores in found.values())
    chosen = fake.asked[1]
    assert 10 in chosen and max(chosen) > 14  # where errors are largest
    assert set(chosen) < set(fake.asked[6])  # what was labelled stays
    assert found["next"]["4"] > found["next"]["2"] > found["next"]["1"]
