import numpy as np
import pytest

from experiments.next_frames import best_of, diverse, read_set, simulate, summary, uniform
from experiments.spans import Smaller, Spans
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.evaluation.confusion import mean_iou
from wrp_jax.quality.table import FrameQuality


class Fake:
    """A hard clip and an easy one; the score tells which frames were labelled."""

    def __init__(self):
        names = tuple(f"{i:02d}" for i in range(20))
        self.names, self.asked = {"hard": names, "easy": names}, []

    def _errors(self, chosen):
        return {
            clip: np.array([min(abs(i - p) for p in places) for i in range(20)])
            * (5.0 if clip == "hard" else 0.5)
            for clip, places in chosen.items()
        }

    def score(self, chosen):
        self.asked.append({clip: sorted(places) for clip, places in chosen.items()})
        return 100.0 - np.mean(list(self._errors(chosen).values()))

    def table(self, chosen):
        return [
            FrameQuality(
                clip, f"{i:02d}", min(abs(i - p) for p in chosen[clip]), 100.0 - error, 0.0, 100.0,
                0.0, "", {},
            )
            for clip, errors in self._errors(chosen).items()
            for i, error in enumerate(errors)
        ]  # fmt: skip

    def features(self, sequence):
        return np.arange(20.0)[:, None]


def test_labels_are_spread_evenly():
    assert uniform(20, 1) == [10] and uniform(20, 2) == [5, 15]
    assert uniform(4, 4) == [0, 1, 2, 3]


def test_differing_frames_are_added():
    features = np.array([[0.0], [1.0], [0.0], [5.0]])
    assert diverse(features, [0], 3) == [0, 3, 1] and len(diverse(features, [0], 9)) == 4


def test_every_strategy_has_as_many_labels_and_starts_alike():
    fake, told = Fake(), []
    found = simulate(fake, [2, 4], lambda name, _: told.append(name))  # type: ignore[arg-type]
    assert told == ["next", "uniform", "diversity", "random", "oracle"]
    assert len({scores["1"] for scores in found.values()}) == 1
    budgets = {name: set(scores) for name, scores in found.items()}
    assert budgets.pop("oracle") == {"1", "2"}
    assert all(labels == {"1", "2", "4"} for labels in budgets.values())
    first, second, third = fake.asked[:3]
    assert [sum(map(len, one.values())) for one in (first, second, third)] == [2, 4, 8]
    assert len(second["hard"]) == 3 and set(second["hard"]) < set(third["hard"])
    assert found["next"]["4"] > found["uniform"]["4"]
    assert "oracle" not in simulate(Fake(), [2], lambda *_: None, oracle=False)  # type: ignore
    # Of six places, at least as good as any other choice of one.
    start = {"hard": [10], "easy": [10]}
    assert best_of(fake, start, [2])["2"] == found["oracle"]["2"]  # type: ignore[arg-type]


def test_spans_are_labelled_once_and_kept(tmp_path):
    source = SyntheticSource(SyntheticConfig(frames=5, height=48, width=64), 2, 3)
    smaller = Smaller(source, 0.5, source.sequences[:1])
    clip, void = smaller.sequences[0], source.classes.void
    assert smaller.frame(clip, source.frame_names(clip)[0]).shape == (24, 32, 3)
    spans = Spans(smaller, tmp_path)
    _, _, few = spans.label({clip: [0, 4]})
    _, _, all_of_them = spans.label({clip: range(5)})
    assert few.sum() == all_of_them.sum() == 5 * 24 * 32
    assert mean_iou(few, void) < mean_iou(all_of_them, void) == 1.0
    assert len(list((tmp_path / clip).iterdir())) == 1 + 4
    again = Spans(smaller, tmp_path)
    again._label = lambda job: pytest.fail("labelled again")
    plan, results, total = again.label({clip: [4, 0]})
    assert (total == few).all() and len(plan.jobs) == len(results) == 1


def test_a_set_is_named_by_its_parts():
    assert read_set("a=0.5@synthetic:clips=2@x+y") == ("a", 0.5, "synthetic:clips=2", ("x", "y"))
    assert read_set("a=1@D") == ("a", 1.0, "D", ())


def test_means_and_the_labels_that_are_saved():
    one = {"next": {"1": 50.0, "4": 80.0, "8": 90.0}, "uniform": {"1": 50.0, "4": 70.0, "8": 80.0}}
    two = {"next": {"1": 60.0, "4": 90.0, "8": 92.0}, "uniform": {"1": 60.0, "4": 80.0, "8": 92.0}}
    found = summary({"a": one, "b": two})
    assert found["mean"]["next"] == {"1": 55.0, "4": 85.0, "8": 91.0} and found["a"] == one
    assert found["fewer"] == pytest.approx(100 * (1 - (4 + 4 / 6) / 8))
