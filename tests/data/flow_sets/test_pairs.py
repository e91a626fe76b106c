"""Pairs with true flow: from synthetic clips, from flying pieces, and mixed."""

import pickle

import numpy as np
import pytest
from moving import affine_pair, fetch_error, surface

from wrp_jax.data.flow_sets.pairs import FlowPair, Mixture, flow_pairs, known
from wrp_jax.data.synthetic.config import CLASSES
from wrp_jax.data.synthetic.source import open_synthetic
from wrp_jax.training.motion.flying import FlyingOptions, FlyingPieces
from wrp_jax.types import UserError


class Waves:
    """A video of one smooth picture."""

    name = "waves"
    sequences = ("a",)
    classes = CLASSES

    def frame_names(self, sequence):
        return ("0", "1")

    def frame(self, sequence, name):
        x, y = np.meshgrid(np.arange(160.0), np.arange(120.0))
        return surface(x + 30 * int(name), y).astype(np.uint8)

    def label_names(self, sequence):
        return frozenset()

    def label(self, sequence, name):
        raise KeyError(name)


class Numbers:
    """A set that gives its index back."""

    def __init__(self, count, offset):
        self.count, self.offset = count, offset

    def __len__(self):
        return self.count

    def pair(self, index, rng):
        assert 0 <= index < self.count
        return FlowPair(self.offset + index, None, None, None)


def test_synthetic_pairs_hold_both_directions():
    source = open_synthetic(
        "clips=2,frames=3,height=48,width=64,noise=0,exposure=0,jpeg=0,clutter=0"
    )
    pairs = flow_pairs(source)
    assert len(pairs) == 2 * 2 * 2
    rng = np.random.default_rng(0)
    clip = source.clip("clip_001")
    forward, backward = pairs.pair(6, rng), pairs.pair(7, rng)
    np.testing.assert_array_equal(forward.first, clip.frames[1])
    np.testing.assert_array_equal(forward.second, clip.frames[2])
    np.testing.assert_array_equal(backward.first, clip.frames[2])
    np.testing.assert_array_equal(
        backward.flow[backward.valid], clip.flow_backward[1][backward.valid]
    )
    for pair in (forward, backward):
        assert np.isfinite(pair.flow).all()
        assert (
            np.nanmedian(fetch_error(pair))
            < 3
            < np.nanmedian(fetch_error(pair._replace(flow=pair.flow + np.float32(6))))
        )


def test_a_video_without_flow_is_refused():
    with pytest.raises(UserError, match="waves has no true flow"):
        flow_pairs(Waves())
    with pytest.raises(UserError, match="two frames"):
        flow_pairs(open_synthetic("clips=1,frames=1,height=8,width=8"))


def test_nan_means_unknown():
    pair = affine_pair()
    flow = pair.flow.copy()
    flow[0, 0, 1] = np.nan
    found = known(pair.first, pair.second, flow)
    assert not found.valid[0, 0] and found.valid.sum() == flow[..., 0].size - 1
    np.testing.assert_array_equal(found.flow[0, 0], 0)


def test_a_mixture_repeats_its_parts():
    mixed = Mixture([(Numbers(2, 0), 2), (Numbers(3, 10), 1)])
    rng = np.random.default_rng(0)
    assert [mixed.pair(i, rng).first for i in range(len(mixed))] == [0, 1, 0, 1, 10, 11, 12]
    assert [mixed.part(i) for i in range(len(mixed))] == [0, 0, 0, 0, 1, 1, 1]


CALM = FlyingOptions(light=0.0, noise=0.0, blur=0.0, drift=0.02, speed=0.04)


def test_flying_pieces_have_exact_flow():
    pairs = FlyingPieces(Waves(), (72, 96), 5, CALM)
    assert len(pairs) == 5
    shares = []
    for seed in range(8):
        pair = pairs.pair(0, np.random.default_rng(seed))
        assert pair.first.shape == (72, 96, 3) and pair.flow.dtype == np.float32
        error = fetch_error(pair)
        # All but what is hidden in the second picture, and the mixed pixels of edges.
        shares.append((error[np.isfinite(error)] < 3).mean())
    assert np.median(shares) > 0.9 and min(shares) > 0.6
    assert max(np.ptp(pair.flow[..., 0]), np.ptp(pair.flow[..., 1])) > 1


def test_flying_pieces_follow_the_generator_alone():
    pairs = FlyingPieces(Waves(), (40, 48), 5)
    again = pickle.loads(pickle.dumps(pairs))
    one, two, other = (
        p.pair(k, np.random.default_rng(s))
        for p, k, s in ((pairs, 0, 1), (again, 3, 1), (pairs, 0, 2))
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.flow != other.flow).any()
