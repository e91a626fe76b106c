"""Cycles in time, drawn from the windows."""

import numpy as np
import pytest
from training.refiner.toy_video import Source, segment, toy

from wrp_jax.motion.still import zero_motion
from wrp_jax.training.refiner.examples.calibrate import ReliabilityInWindows
from wrp_jax.training.refiner.examples.cycles import draw_cycles, vary
from wrp_jax.types import UserError


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


def test_the_segmentation_of_the_labelled_frame_alone_is_brought_to_a_recall(rng):
    source = Source(rng)
    known, source, windows = toy(source, "01")
    classes = known.classes.num_classes

    def drawn(seed, recall):
        half = np.full((classes, 2), recall, np.float32)
        reliability = ReliabilityInWindows((), half[None][:0], half)
        cycles = draw_cycles(
            np.random.default_rng(seed), known, source, windows, zero_motion(), segment,
            count=1, reliability=None if recall is None else reliability,
        )  # fmt: skip
        return next(cycles)

    plain, worse = drawn(0, None), drawn(0, 0.5)
    at = worse.order[0, 0]
    others = np.arange(len(worse.cues.frames)) != at
    np.testing.assert_array_equal(worse.order, plain.order)
    np.testing.assert_array_equal(worse.cues.probs[others], plain.cues.probs[others])
    np.testing.assert_array_equal(worse.cues.features, plain.cues.features)
    # The segmentation says 0 everywhere: where 1 is, it is given half of it.
    found = worse.cues.probs[at].argmax(-1)[worse.truth == 1]
    assert (found == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert (plain.cues.probs[at].argmax(-1) == 0).all()


def test_varied_cycles_show_a_part_of_the_pictures_with_its_label(rng):
    frames = np.zeros((3, 40, 60, 3), np.uint8)
    label = np.zeros((40, 60), np.int32)
    label[:, 30:] = 1
    label[:, 55:] = -1
    frames[:, :, 30:] = 200
    kinds = set()
    for _ in range(12):
        varied, cut = vary(rng, frames, label)
        assert varied.shape == frames.shape and varied.dtype == np.uint8
        assert cut.shape == label.shape and set(np.unique(cut)) <= {-1, 0, 1}
        assert (varied == varied[:1]).all(), "what stood still stands still"
        bright = varied[0].astype(int).sum(-1)
        assert ((bright > bright.mean()) == (cut != 0)).mean() > 0.95
        kinds.add((bool(cut[20, 2] != 0), int(bright.max())))
    assert {mirrored for mirrored, _ in kinds} == {True, False} and len(kinds) > 6


def test_varied_cycles_need_a_network(rng):
    class Files:
        def __call__(self, clip, positions):
            raise AssertionError

        def imitate(self, rng, labels):
            raise AssertionError

    with pytest.raises(UserError, match="vary_cycles=false"):
        next(
            draw_cycles(rng, *toy(Source(rng), "01"), zero_motion(), Files(), count=1, varied=True)
        )
