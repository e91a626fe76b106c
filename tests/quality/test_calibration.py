import numpy as np
import pytest

from wrp_jax.quality.calibration import COVERAGE, calibrate, score

PRIOR = (-1.0, -0.5, -0.2, 0.0, 0.1, 0.2, 0.4, 0.8)


def test_without_left_out_frames_the_prior_decides():
    calibration = calibrate([], [], PRIOR)
    told, low, high = calibration(0.8, 1)
    assert low < told < high and told == pytest.approx(0.8)
    of_four = calibration(0.8, 4)
    assert np.log((1 - low) / 0.2) == pytest.approx(2 * np.log((1 - of_four[1]) / 0.2))
    assert score(0.8, 0.9) == pytest.approx(np.log(2)) and score(1.0, 1.0) == 0


def test_a_run_moves_its_level_the_more_the_more_was_left_out():
    told = [calibrate([np.log(2)] * n, [3] * n, PRIOR)(0.9, 3)[0] for n in (0, 4, 40, 400)]
    assert told == sorted(told, reverse=True)
    assert told[-1] == pytest.approx(0.8, abs=0.01)  # twice as much is wrong
    assert calibrate([0.3], [2], PRIOR).left_out == 1


@pytest.mark.parametrize("own", [0, 3, 200])
def test_intervals_hold_what_they_promise(own):
    rng = np.random.default_rng(own)
    classes = [4] * own
    prior = list(2 * rng.normal(0.0, 0.4, 300))
    calibration = calibrate(list(rng.normal(0.1 if own > 9 else 0.0, 0.4, own)), classes, prior)
    true = 1 - 0.2 * np.exp(rng.normal(0.1 if own > 9 else 0.0, 0.4, 4000))
    _, low, high = calibration(0.8, 4)
    assert ((low <= true) & (true <= high)).mean() == pytest.approx(COVERAGE, abs=0.04)


def test_what_is_told_stays_in_bounds():
    calibration = calibrate([2.0] * 50, [1] * 50, PRIOR)
    for miou in (0.0, 0.5, 1.0):
        told, low, high = calibration(miou, 1)
        assert 0 <= low <= told <= high <= 1
    assert calibration.wrong(0.9) == 1.0
