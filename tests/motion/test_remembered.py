import numpy as np
import pytest

from wrp_jax.motion import refined_dis
from wrp_jax.motion.remembered import remembered
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.window_cues import StoredCues
from wrp_jax.types import clip_of


@pytest.fixture
def asked():
    """Every pair that a motion was asked for, in order, and the motion."""
    pairs, still = [], zero_motion()

    def motion(clip, targets, sources, initial=None):
        pairs.extend(zip(map(int, targets), map(int, sources), strict=True))
        return still(clip, targets, sources) + len(pairs)

    return pairs, motion


def test_what_was_asked_a_moment_ago_is_not_estimated_again(asked, rng):
    pairs, motion = asked
    one, other = (clip_of(rng.integers(0, 255, (3, 4, 5, 3), np.uint8)) for _ in range(2))
    ask = remembered(motion)
    first = ask(one, [1], [0])
    np.testing.assert_array_equal(ask(one, np.array([1]), range(1)), first)
    assert pairs == [(1, 0)]
    ask(one, [0], [1])
    ask(one, [1], [0], initial=first)  # a first guess changes the flow
    ask(other, [1], [0])
    assert pairs == [(1, 0), (0, 1), (1, 0), (1, 0)]
    ask(one, [1], [0])  # another clip was asked for meanwhile
    assert len(pairs) == 5


def test_refined_dis_estimates_each_direction_of_a_pair_once(asked, rng, tmp_path, monkeypatch):
    pairs, motion = asked
    network = lambda *_, **__: lambda first, second, there, back: there - back  # noqa: E731
    monkeypatch.setattr(refined_dis, "over_devices", network)
    clip = clip_of(rng.integers(0, 255, (6, 4, 5, 3), np.uint8))
    mended = refined_dis.refined_dis_motion({}, motion, 1)
    with StoredCues(tmp_path, clip, mended, None) as cues:
        cues.section(0, 6)
    assert sorted(pairs) == sorted({(t, s) for t in range(6) for s in range(6) if abs(t - s) == 1})
