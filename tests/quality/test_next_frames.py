import itertools

import numpy as np
import pytest

from wrp_jax.quality.next_frames import next_frames, next_frames_csv
from wrp_jax.quality.table import FrameQuality


def rows(labelled=(), **sequences):
    return [
        FrameQuality(name, f"{i:03d}", int(i not in labelled), float(miou), 0.0, 100.0, 0.0, "", {})
        for name, mious in sequences.items()
        for i, miou in enumerate(mious)
    ]


def test_the_first_helps_most_and_the_next_lies_elsewhere():
    dip = [100, *[60] * 19, 100]
    found = next_frames(rows(a=dip, b=[90] * 21), 4)
    assert found[0].sequence == "a" and found[0].frame == "010"
    places = [int(frame.frame) for frame in found if frame.sequence == "a"]
    assert min(abs(a - b) for a, b in itertools.combinations(places, 2)) >= 4
    gains = [frame.gain for frame in found]
    assert gains == sorted(gains, reverse=True)  # what was removed is not gained again
    assert found[-1].total == pytest.approx(sum(gains)) and found[-1].total < (40 * 19 + 210) / 42


def test_the_greedy_first_choice_is_the_best_single_one():
    errors = np.random.default_rng(3).uniform(0, 50, 12)
    found = next_frames(rows(a=100 - errors), 1)[0]
    gain = [sum(e * 0.9 ** abs(i - j) for j, e in enumerate(errors)) / 12 for i in range(12)]
    assert int(found.frame) == int(np.argmax(gain)) and found.gain == pytest.approx(max(gain))


def test_frames_that_are_labelled_are_not_asked_for_again():
    around = [70.0, 80.0, 90.0, 100.0, 90.0, 80.0, 70.0]  # most is wrong around the middle
    found = next_frames(rows(a=around, labelled=[3]), 7)
    assert {frame.frame for frame in found} == {f"{i:03d}" for i in (0, 1, 2, 4, 5, 6)}
    assert len(found) == 6


def test_nothing_is_listed_where_nothing_is_to_gain():
    assert next_frames(rows(a=[100, 100]), 3) == [] and next_frames([], 3) == []
    assert len(next_frames(rows(a=[90, float("nan")]), 1)) == 1
    text = next_frames_csv(next_frames(rows(a=[90, 80]), 1)).decode().splitlines()
    assert text[0] == "rank,sequence,frame,gain,total,miou,frames"
    assert text[1].startswith("1,a,001,14.500,14.500,80.00,2")


def test_choices_are_those_of_all_pairs_of_frames():
    """Against the whole matrix of who helps whom; the sequence is longer than a label's reach."""
    errors = np.random.default_rng(4).uniform(0, 50, 260)
    apart = np.abs(np.subtract.outer(np.arange(260), np.arange(260)))
    helps = np.where(apart <= 100, 0.9**apart, 0.0)
    left, expected = errors.copy(), []
    for _ in range(6):
        place = int(np.argmax(helps @ left))
        expected.append((place, (helps @ left)[place] / 260))
        left -= helps[place] * left
    found = [(int(f.frame), f.gain) for f in next_frames(rows(a=100 - errors), 6)]
    np.testing.assert_allclose(found, expected)
