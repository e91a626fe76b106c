"""Windows between two labelled frames."""

import dataclasses

import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation import both_sides
from wrp_jax.propagation.along_chains import StepRefiner
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap

N = 7
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
MOVING = [method for method, facts in METHODS.items() if facts.moves]
INPAINTING = [method for method in MOVING if METHODS[method].segments]


@pytest.fixture
def scene(rng):
    """Seven frames that move two pixels each, g_ψ unsure of everything, and the true labels."""
    clip, labels = shifting_clip(rng, n=N)
    return clip._replace(probs=np.full_like(clip.probs, 1 / 3)), labels


def window_of(scene, keys, **more):
    clip, labels = scene
    keys = tuple(Keyframe(key, labels[key]) for key in keys)
    return LabelledWindow(HeldCues(clip), keys, CLASSES, zero_motion(), **more)


def frames_of(window, method="motion-only", **options):
    config = PropagationConfig(horizon=3, **options)
    refiner = StepRefiner(lambda probs, features, cues: probs)
    return list(label_frames(method, config, window, refiner))


@pytest.mark.parametrize("method", METHODS)
def test_every_frame_once_and_from_the_nearest(method, scene):
    said = frames_of(window_of(scene, (0, N - 1)), method)
    assert sorted(frame.frame for frame in said) == list(range(N))
    assert [frame.key for frame in sorted(said)] == [0, 0, 0, 0, 6, 6, 6]
    result = collect(N, said)
    assert result.labels.dtype == np.int32 and result.confidence.dtype == np.float32
    for key in (0, N - 1):
        np.testing.assert_array_equal(result.labels[key], scene[1][key])
        np.testing.assert_array_equal(result.confidence[key], 1)


@pytest.mark.parametrize(
    ("method", "carrier"),
    [
        *(("motion-only", carrier) for carrier in ("hard", "soft", "composed")),
        # Hard labels do not say how sure g_ψ is where it takes over.
        *((method, carrier) for method in INPAINTING for carrier in ("soft", "composed")),
        ("flow-voting", "composed"),
    ],
)
def test_what_one_side_cannot_see_the_other_labels(method, carrier, scene):
    """The picture moves on: its right half has come in since the first labelled frame."""
    result = collect(N, frames_of(window_of(scene, (0, N - 1)), method, carrier=carrier))
    np.testing.assert_array_equal(result.labels, scene[1])
    alone = collect(N, frames_of(window_of(scene, (0,)), method, carrier=carrier))
    assert (alone.labels[N - 2] != scene[1][N - 2]).any()


def mirrored(scene):
    clip, labels = scene
    return clip._replace(
        frames=clip.frames[::-1],
        flow_backward=clip.flow_forward[::-1],
        flow_forward=clip.flow_backward[::-1],
        probs=clip.probs[::-1],
        features=clip.features[::-1],
    ), labels[::-1]


@pytest.mark.parametrize("method", MOVING)
def test_time_may_run_the_other_way(method, scene, rng):
    clip, labels = scene
    doubtful = clip._replace(
        flow_backward=clip.flow_backward + rng.normal(size=clip.flow_backward.shape) * 0.7,
        probs=rng.dirichlet(np.ones(3), clip.probs.shape[:3]).astype(np.float32),
    )
    there = collect(N, frames_of(window_of((doubtful, labels), (0, N - 1)), method))
    back = collect(N, frames_of(window_of(mirrored((doubtful, labels)), (0, N - 1)), method))
    np.testing.assert_array_equal(there.labels, back.labels[::-1])
    np.testing.assert_array_equal(there.confidence, back.confidence[::-1])


def test_files_hold_what_memory_holds(scene, tmp_path, monkeypatch):
    held = []
    decide = both_sides._decide

    def watched(window, sides, weight):
        waits = [kept.said.posterior.probs for kept in waiting[0]._held._kept.values()]
        held.append(sum(probs is not None for probs in waits))
        return decide(window, sides, weight)

    waiting, original = [], both_sides._Waiting.__enter__

    def noted(self):
        waiting[:] = [self]
        return original(self)

    monkeypatch.setattr(both_sides, "_decide", watched)
    monkeypatch.setattr(both_sides._Waiting, "__enter__", noted)
    for method in [method for method in MOVING if not METHODS[method].decides]:
        memory = collect(N, frames_of(window_of(scene, (0, N - 1)), method))
        assert max(held) > 0
        held.clear()
        files = collect(N, frames_of(window_of(scene, (0, N - 1), scratch=tmp_path), method))
        assert max(held) == 0  # what waits is in files
        for a, b in zip(memory, files, strict=True):
            np.testing.assert_array_equal(a, b)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reach", [1, 2, 3, 4, 5, 9])
def test_labels_go_as_far_as_they_may(scene, reach):
    window = window_of(scene, (0, N - 1), reach=reach)
    said = {frame.frame: frame for frame in frames_of(window)}
    far = min(reach, N - 2)
    reached = {0, N - 1} | set(range(1, far + 1)) | set(range(N - 1 - far, N - 1))
    assert set(said) == reached
    alone = {frame.frame: frame for frame in frames_of(window_of(scene, (0,)))}
    for frame in range(1, min(far + 1, N - 1 - far)):  # beyond the reach of the other side
        np.testing.assert_array_equal(said[frame].labels, alone[frame].labels)
        np.testing.assert_array_equal(said[frame].confidence, alone[frame].confidence)


def test_images_move_with_labels_of_the_same_frame(scene):
    said = sorted(frames_of(window_of(scene, (0, N - 1)), move_images=True))
    first = sorted(frames_of(window_of(scene, (0,)), move_images=True))
    last = sorted(frames_of(window_of(scene, (N - 1,)), move_images=True))
    for frame, one in enumerate(said):
        alone = (first if frame <= 3 else last)[frame]
        np.testing.assert_array_equal(one.labels, alone.labels)
        np.testing.assert_array_equal(one.image, alone.image)


@pytest.mark.parametrize("method", MOVING)
def test_nothing_between(method, scene):
    clip, labels = scene
    two = clip._replace(
        frames=clip.frames[:2], flow_backward=clip.flow_backward[:1],
        flow_forward=clip.flow_forward[:1], probs=clip.probs[:2], features=clip.features[:2],
    )  # fmt: skip
    said = frames_of(window_of((two, labels), (0, 1)), method)
    assert [frame.frame for frame in said] == [0, 1]
    np.testing.assert_array_equal(said[1].labels, labels[1])


def test_labelled_frames_lie_at_the_ends(scene):
    with pytest.raises(ValueError, match="first and the last"):
        window_of(scene, (1, N - 1))
    with pytest.raises(ValueError, match="first and the last"):
        dataclasses.replace(window_of(scene, (2,)), keys=())


@pytest.mark.parametrize("method", METHODS)
def test_leaving_out_shows_labelled_frames_and_changes_no_other(method, scene):
    plain = frames_of(window_of(scene, (0, N - 1)), method)
    window = window_of(scene, (0, N - 1), leave_out=True)
    said = frames_of(window, method)
    hidden = {frame.frame: frame for frame in said if window.is_left_out(frame)}
    rest = [frame for frame in said if not window.is_left_out(frame)]
    for one, two in zip(sorted(plain), sorted(rest), strict=True):
        assert one.frame == two.frame
        np.testing.assert_array_equal(one.labels, two.labels)
        stated = two.confidence if two.stated is None else two.stated
        np.testing.assert_array_equal(one.confidence, stated)
        assert (two.stated is not None) == (method in INPAINTING and 0 < two.frame < N - 1)
    if method not in MOVING:
        assert not hidden
        return
    assert {frame: shown.key for frame, shown in hidden.items()} == {0: N - 1, N - 1: 0}
    # What the other label says alone, its own was not there.
    other = window_of((scene[0], np.where(np.arange(N)[:, None, None] == 0, 2, scene[1])), (0, 6))
    other = dataclasses.replace(other, leave_out=True)
    shown = next(f for f in frames_of(other, method) if other.is_left_out(f) and f.frame == 0)
    np.testing.assert_array_equal(shown.labels, hidden[0].labels)
    short = window_of(scene, (0, N - 1), leave_out=True, reach=3)
    assert not any(short.is_left_out(frame) for frame in frames_of(short, method))
