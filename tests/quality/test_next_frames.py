import dataclasses
import itertools

import numpy as np
import pytest

from wrp_jax.quality.estimate import UNREACHED
from wrp_jax.quality.next_frames import next_frames, next_frames_csv
from wrp_jax.quality.table import FrameQuality


def rows(labelled=(0,), reason="", **sequences):
    found = []
    for name, mious in sequences.items():
        for i, miou in enumerate(mious):
            distance = min(abs(i - j) for j in labelled)
            told = float(miou), 0.0, 100.0, 0.0
            found.append(FrameQuality(name, f"{i:03d}", distance, *told, reason, {}))
    return found


def by_all_pairs(rows, budget, reach=100):
    """Places and gains, against the whole matrix of who helps whom."""
    count, chosen = len(rows), []
    left = np.array([100 - row.miou for row in rows])
    away = np.minimum([row.distance for row in rows], 100).astype(float)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    for _ in range(budget):
        near = (apart < away) & (apart <= reach)
        helps = np.where(near, 1 - np.sqrt(apart / np.maximum(away, 1)), 0.0)
        place = int(np.argmax((helps @ left) * (away > 0)))
        chosen.append((place, (helps @ left)[place] / count))
        left, away = left - helps[place] * left, np.where(near[place], apart[place], away)
    return chosen


def test_the_first_helps_most_and_the_next_lies_elsewhere():
    dip = [100, *[60] * 39, 100]
    found = next_frames(rows(a=dip, b=[90] * 41, labelled=[0, 40]), 4)
    assert found[0].sequence == "a" and 15 <= int(found[0].frame) <= 25
    places = [int(frame.frame) for frame in found if frame.sequence == "a"]
    assert min(abs(a - b) for a, b in itertools.combinations(places, 2)) >= 5
    gains = [frame.gain for frame in found]
    assert gains == sorted(gains, reverse=True)  # what was removed is not gained again
    assert found[-1].total == pytest.approx(sum(gains)) and found[-1].total < (40 * 39 + 390) / 82


def test_labels_of_an_even_clip_end_up_evenly_spread():
    errors = 10 * np.sqrt(np.abs(np.arange(60) - 30))
    found = next_frames(rows(a=100 - errors, labelled=[30]), 2)
    assert sorted(round(int(frame.frame) / 10) for frame in found) == [1, 5]


def test_frames_that_are_labelled_are_not_asked_for_again():
    around = [70.0, 80.0, 90.0, 100.0, 90.0, 80.0, 70.0]  # most is wrong around the middle
    found = next_frames(rows(a=around, labelled=[3]), 7)
    assert {frame.frame for frame in found} == {f"{i:03d}" for i in (0, 1, 2, 4, 5, 6)}
    assert len(found) == 6


def test_nothing_is_listed_where_nothing_is_to_gain():
    assert next_frames(rows(a=[100, 100]), 3) == [] and next_frames([], 3) == []
    assert len(next_frames(rows(a=[90, float("nan")], labelled=[9]), 1)) == 1
    text = next_frames_csv(next_frames(rows(a=[90, 80]), 1)).decode().splitlines()
    assert text[0] == "rank,sequence,frame,gain,total,miou,frames"
    assert text[1].startswith("1,a,001,10.000,10.000,80.00,1")


@pytest.mark.parametrize("labelled", [(0,), (40, 45, 200)])
def test_choices_are_those_of_all_pairs_of_frames(labelled):
    """Also where the sequence is longer than a label's reach."""
    errors = np.random.default_rng(4).uniform(0, 50, 260)
    table = rows(a=100 - errors, labelled=labelled)
    found = [(int(f.frame), f.gain) for f in next_frames(table, 6)]
    np.testing.assert_allclose(found, by_all_pairs(table, 6))


def test_frames_out_of_reach_are_helped_from_the_horizon_alone():
    near = rows(a=[100, *[90] * 5])
    far = [row for row in rows(a=[0] * 60, reason=UNREACHED) if row.distance > 5]
    table = [dataclasses.replace(row, frame=f"{row.distance:03d}") for row in [*near, *far]]
    first = next_frames(table, 1)[0]
    assert 11 <= int(first.frame) <= 54 and first.frames == 11  # five on either side, and itself
