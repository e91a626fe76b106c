"""Flips of a window, along the flows that its labels took."""

import numpy as np
import pytest

from wrp_jax.labelling.flips import KeptLabels
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, ClipCues

N, H, W = 4, 3, 6
CLASSES = ClassMap((0, 1), ("a", "b"), np.zeros((2, 3), np.uint8), (False,) * 2)


@pytest.mark.parametrize(("keys", "wanted"), [((2,), "ffb"), ((0, 3), "bbb")])
def test_pairs_are_compared_along_the_flow_away_from_the_labelled_frame(
    tmp_path, rng, keys, wanted
):
    """The scene moves one pixel to the right; the flow of the other direction is not asked for."""
    labels = rng.integers(0, 2, (H, W + N)).astype(np.int32)
    labels = np.stack([labels[:, N - t : N - t + W] for t in range(N)])
    move = np.tile(np.array([1, 0], np.float32), (N - 1, H, W, 1))
    nothing = np.zeros((N, H, W, 0), np.float32)
    cues, asked = HeldCues(ClipCues(np.zeros((N, H, W, 3), np.uint8), -move, move, nothing,
                                    nothing)), []  # fmt: skip

    class Watched:
        count, clip = cues.count, cues.clip

        @staticmethod
        def section(start, stop, **options):
            asked.append("".join(way[0] for way in options["flows"]))
            return cues.section(start, stop, **options)

    keyframes = tuple(Keyframe(key, labels[key]) for key in keys)
    window = LabelledWindow(Watched(), keyframes, CLASSES, zero_motion())
    with KeptLabels(tmp_path) as kept:
        for frame in (2, 3, 1, 0):
            kept.put("moving", frame, labels[frame])
            kept.put("still", frame, labels[keys[0]])
            if frame > 0:
                kept.put_truth(frame, labels[frame])
        found = kept.flips(window, ["moving", "still"])
    assert "".join(asked) == wanted
    pair = H * (W - 1)
    np.testing.assert_array_equal(
        found["moving"].sums, [[3 * pair, 0], [2 * pair, 0], [2 * pair, 0]]
    )
    here = labels[keys[0]]
    changes = np.count_nonzero(here[:, 1:] != here[:, :-1])
    np.testing.assert_array_equal(
        found["still"].sums, [[3 * pair, 3 * changes], [2 * pair, 2 * changes], [2 * pair, 0]]
    )
    assert list(tmp_path.iterdir()) == []
