"""Cycles in time, drawn from the windows."""

import numpy as np
from training.refiner.toy_video import Source, segment, toy

from wrp_jax.motion.still import zero_motion
from wrp_jax.training.refiner.examples.cycles import draw_cycles


def test_cycles_stay_in_the_window_and_read_the_known_label_alone(rng):
    source = Source(rng)
    drawn = list(
        draw_cycles(
            rng, *toy(source, "01"), zero_motion(), segment,
            count=12, max_length=6,
        )
    )  # fmt: skip
    lengths = {(bool(cycle.order[0, 0] == 0), cycle.length) for cycle in drawn}
    assert lengths <= {(True, 1), (True, 2), (True, 3), (False, 1)} and len(lengths) > 2
    names = source.frame_names("s")
    for cycle in drawn:
        assert len(cycle.cues.frames) == cycle.clip.count == cycle.length + 1
        first = names.index(cycle.clip.names[0])
        assert cycle.clip.names == names[first : first + cycle.clip.count]
        assert cycle.clip.names[cycle.order[0, 0]] == "02"
        assert (cycle.truth == source.truth).all()
        turn = cycle.length if cycle.order[0, 0] == 0 else 0
        assert cycle.order[0, cycle.length] == turn
        np.testing.assert_array_equal(cycle.order, cycle.order[:, ::-1])
