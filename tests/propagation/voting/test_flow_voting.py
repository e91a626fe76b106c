"""Iterative flow voting: closed forms, and windows of one and of two labelled frames."""

import functools

import jax
import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax import interrupts
from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation import along_chains
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import label_frames
from wrp_jax.propagation.provenance import provenance
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.voting import votes as published
from wrp_jax.propagation.voting import window as voting_window
from wrp_jax.propagation.voting.votes import shares, side_weights
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, ClipCues, Interrupted

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
longer_flow, two_votes = jax.jit(published.longer_flow), jax.jit(published.two_votes)
label_votes = jax.jit(functools.partial(published.label_votes, num_classes=3))


def flow_of(dx, h=4, w=8):
    return np.broadcast_to(np.float32([dx, 0]), (1, h, w, 2)).copy()


def said_of(clip, labels, keys, **more):
    """``labels``: by place of the labelled frame."""
    given = tuple(Keyframe(key, labels[key]) for key in keys)
    window = LabelledWindow(HeldCues(clip), given, CLASSES, zero_motion(), **more)
    said = list(label_frames("flow-voting", PropagationConfig(horizon=3), window))
    return {one.frame: one for one in said if not window.is_left_out(one)}, said, window


def still(n, h=4, w=6):
    frames, flow = np.zeros((n, h, w, 3), np.uint8), np.zeros((n - 1, h, w, 2), np.float32)
    return ClipCues(frames, flow, flow, np.zeros((n, h, w, 0), np.float32), np.zeros((n, 1, 1, 0)))


def test_weights_are_the_published_ones():
    assert side_weights(5, 0, 10) == (0.5, 0.5)
    near, far = side_weights(12, 10, 20)
    assert near + far == pytest.approx(1)
    assert near / far == pytest.approx(np.exp(-0.2) / np.exp(-0.8))


def test_a_uniform_shift_gives_two_votes_to_what_moves_and_one_at_the_rims(rng):
    """Frame B shows two columns further to the right than frame A, which is labelled."""
    labels = rng.integers(0, 3, (1, 4, 8)).astype(np.int32)
    votes = label_votes(labels, flow_of(2.0), flow_of(-2.0))
    assert votes.shape == (1, 4, 8, 3)
    np.testing.assert_allclose(votes.sum(-1)[..., :6], 2)
    np.testing.assert_array_equal(votes[..., :6, :].argmax(-1), labels[..., 2:])
    np.testing.assert_allclose(votes.sum(-1)[..., 6:], 1e-3)  # the border, from outside
    soft = rng.dirichlet(np.ones(3), (1, 4, 8)).astype(np.float32)
    moved = two_votes(soft, flow_of(2.0), flow_of(-2.0))
    np.testing.assert_allclose(moved[..., :6, :], 2 * soft[..., 2:, :], rtol=1e-6)
    ways = flow_of(0.4), flow_of(-0.6)
    certain = np.eye(3, dtype=np.float32)[labels]
    np.testing.assert_allclose(two_votes(certain, *ways), label_votes(labels, *ways), atol=1e-6)


def test_flows_are_chained_and_what_is_void_stays_void():
    first, onward = flow_of(2.0), flow_of(3.0)
    onward[0, 0, 2], first[0, 1, 0] = np.nan, np.nan
    whole = longer_flow(first, onward)
    np.testing.assert_array_equal(np.asarray(whole)[0, 2:, :, 0], 5)
    assert np.isnan(whole[0, 1, 0]).all() and np.isnan(whole[0, 0, 0]).all()


def test_shares_sum_to_one():
    np.testing.assert_allclose(shares(np.float32([[[2, 1, 1]]])), [[[0.5, 0.25, 0.25]]])


@pytest.mark.parametrize("n", [4, 13])
def test_both_sides_where_one_does_not_see(rng, n):
    """What enters after the first labelled frame is known from the last, and the other way."""
    clip, labels = shifting_clip(rng, n=n, w=24)
    said, _, _ = said_of(clip, labels, (0, n - 1))
    assert sorted(said) == list(range(n))
    for frame, one in said.items():
        np.testing.assert_array_equal(one.labels, labels[frame])
    middle, differs = said[n // 2], labels[0] != labels[-1]
    for side, rim in ((0, 0), (1, -1)):  # the side that sees it
        where = differs[:, rim]
        assert where.any() and (middle.side[where, rim] == side).all()


def test_the_nearer_label_wins_where_nothing_moves_and_rounds_smooth_in_time():
    n = 21
    first, last = np.zeros((4, 6), np.int32), np.ones((4, 6), np.int32)
    said, order, _ = said_of(still(n), {0: first, n - 1: last}, (0, n - 1))
    for frame in set(range(n)) - {10}:
        np.testing.assert_array_equal(said[frame].labels, frame > 10)
    # Worked out by hand: two rounds of means over the frames 5 and 10 away.
    votes = np.array([side_weights(i, 0, n - 1)[0] for i in range(n)])
    votes[[0, -1]] = 1, 0
    for _ in range(2):
        after = votes.copy()
        for i in range(1, n - 1):
            others = np.clip([i - 10, i - 5, i + 5, i + 10], 0, n - 1)
            after[i] = (votes[i] + 2 * votes[others].sum()) / 9
        votes = after
    for frame in (1, 4, 9):
        np.testing.assert_allclose(said[frame].confidence, votes[frame], atol=2e-3)
    assert [one.frame for one in order[:4]] == [0, 20, 1, 19]


@pytest.mark.parametrize("keys", [(0,), (3,), (6,)])
def test_one_labelled_frame_alone_is_enough(rng, keys):
    clip, labels = shifting_clip(rng, n=7, w=24)
    said, _, _ = said_of(clip, labels, keys)
    assert sorted(said) == list(range(7))
    for frame, one in said.items():
        moved = 2 * (frame - keys[0])
        seen = np.s_[:, max(0, -moved) : 24 - max(0, moved)]
        np.testing.assert_array_equal(one.labels[seen], labels[frame][seen])
        assert one.side is None and one.key == keys[0]


def test_beyond_the_reach_of_the_other_side_one_alone_speaks(rng):
    clip, labels = shifting_clip(rng, n=5, w=24)
    said, _, window = said_of(clip, labels, (0, 4), reach=1)
    assert sorted(said) == [0, 1, 3, 4] and not window.reached_by_both()
    assert said[1].side is None and said[1].key == 0 and said[3].key == 4


def test_the_side_counts_labelled_frames_beyond_the_two(rng):
    clip, labels = shifting_clip(rng, n=6, w=24)
    further = (Keyframe(0, labels[0]),)
    said, _, window = said_of(clip, labels, (1, 5), further=further, between=(2, 4))
    for frame in (2, 3, 4):
        source = provenance(window, said[frame], inpaints=False, chooses=False)
        alone = frame - 1, 5 - frame  # distances to the two that have a say
        np.testing.assert_array_equal(source[..., 2], np.array(alone)[source[..., 1]])
        assert (source[:, 0, 1] == 0).any() and (source[:, -1, 1] == 1).any()


def test_time_may_run_the_other_way(rng):
    n = 13
    clip, labels = shifting_clip(rng, n=n)
    noisy = [flow + rng.normal(size=flow.shape) for flow in (clip.flow_backward, clip.flow_forward)]
    there, _, _ = said_of(clip._replace(flow_backward=noisy[0], flow_forward=noisy[1]),
                          labels, (0, n - 1))  # fmt: skip
    turned = clip._replace(
        frames=clip.frames[::-1], flow_backward=noisy[1][::-1], flow_forward=noisy[0][::-1]
    )
    back, _, _ = said_of(turned, labels[::-1], (0, n - 1))
    for frame in range(n):
        np.testing.assert_array_equal(there[frame].labels, back[n - 1 - frame].labels)
        np.testing.assert_array_equal(there[frame].confidence, back[n - 1 - frame].confidence)


def test_files_filled_up_frames_and_long_chunks_change_nothing(rng, tmp_path, monkeypatch):
    n = 12
    clip, labels = shifting_clip(rng, n=n, h=9, w=14)
    clip = clip._replace(flow_backward=clip.flow_backward + rng.normal(size=(n - 1, 9, 14, 2)))
    memory, _, _ = said_of(clip, labels, (0, n - 1))
    files, _, _ = said_of(clip, labels, (0, n - 1), scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(voting_window, "BUCKET", 1)
    monkeypatch.setattr(along_chains, "BUCKET", 1)
    exact, _, _ = said_of(clip, labels, (0, n - 1))
    for other in (files, exact):
        for a, b in zip(collect(n, memory.values()), collect(n, other.values()), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part", ["_longer", "_gather"])
def test_rounds_that_are_told_to_stop_end(part, monkeypatch):
    done, work = [], getattr(voting_window, part)

    def told_meanwhile(*arguments):
        done.append(part)
        interrupts.request("stopped by SIGTERM")
        return work(*arguments)

    monkeypatch.setattr(voting_window, part, told_meanwhile)
    labels = np.zeros((4, 6), np.int32)
    with interrupts.listening(), pytest.raises(Interrupted, match="SIGTERM"):
        said_of(still(21), {0: labels, 20: labels}, (0, 20))
    assert len(done) <= 4  # of one stretch
