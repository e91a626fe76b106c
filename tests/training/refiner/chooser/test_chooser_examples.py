"""Crops of hypotheses at the end of cycles."""

import numpy as np
from training.refiner.toy_video import Source, segment, toy

from wrp_jax.motion.still import zero_motion
from wrp_jax.training.refiner.chooser.crops import CANDIDATES, CROP, unpack
from wrp_jax.training.refiner.chooser.examples import cycle_crops
from wrp_jax.training.refiner.examples.cycles import draw_cycles


def test_a_cycle_over_a_static_video_returns_the_label(rng):
    source = Source(rng)

    def still(clip, *pairs, **options):
        assert clip.names, "which frames of the video these are was not said"
        return zero_motion()(clip, *pairs, **options)

    (cycle,) = draw_cycles(
        rng, *toy(source, "00"), still, segment,
        count=1, max_length=3,
    )  # fmt: skip
    assert cycle.length > 1
    known = np.arange(6, dtype=np.float32).reshape(3, 2) / 6
    weights = np.ones(3, np.float32)
    crops = list(cycle_crops(rng, cycle, still, weights, known, crops=3))
    assert len(crops) == 3
    for crop in crops:
        votes = unpack(crop.hypotheses).votes
        assert votes.shape == (CROP, CROP, 9, CANDIDATES)
        # Its candidates are both blocks and what g_ψ says, in the order of their votes.
        assert {tuple(row) for row in crop.reliability} == {(0, 0), *map(tuple, known)}
        # All that moves says the label; only g_ψ does not.
        for place in (0, 1, 2, 3, 4, 5):
            np.testing.assert_array_equal(votes[..., place, :].argmax(-1), crop.label)
