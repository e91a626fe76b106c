import numpy as np
import pytest

from wrp_jax.segmentation.temperature import FEWEST, fit_temperature, hold_out


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_that_labels_were_drawn_with(rng, temperature):
    logits = rng.normal(size=(40000, 5)) * 3.0
    # Gumbel's maximum draws from the softmax.
    labels = (logits / temperature + rng.gumbel(size=logits.shape)).argmax(-1)
    found = fit_temperature(logits.astype(np.float32), labels.astype(np.int32))
    assert found == pytest.approx(temperature, rel=0.03)


def test_few_frames_are_all_learnt_from():
    assert hold_out(range(FEWEST - 1), 0.1) == []
    assert hold_out(range(100), 0.0) == []


def test_runs_of_neighbours_spread_over_the_list_are_held_out():
    places = list(range(3, 403))
    held = hold_out(places, 0.1)
    assert len(held) == 40 and set(held) < set(places)
    starts = held[::8]
    assert held == [place for start in starts for place in range(start, start + 8)]
    assert max(np.diff(starts)) <= 96
