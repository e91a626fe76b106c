import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrp_jax.config import PropagationConfig
from wrp_jax.models.network import Network
from wrp_jax.models.refine.chooser import build_chooser
from wrp_jax.propagation.chooser import hypotheses
from wrp_jax.propagation.chooser.window import ChooserRefiner
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.window_cues import BOTH, HeldCues, MadeCues, StoredCues
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import ClassMap, Clip, SegmentationOutput, UserError, clip_of

H, W = 12, 20
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


def _apply(variables, images, train=False):
    left = jnp.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    return SegmentationOutput(3.0 * (images + left)[:, ::2, ::2], images[:, ::4, ::4])


SEGMENT = functools.partial(segment_clip, Network(lambda key, images: {}, _apply), {})


def motion(clip, targets, sources, initial=None):
    """Some flow of less than two pixels that depends on every argument."""
    difference = clip.stack(targets).astype(np.float32) - clip.stack(sources)
    flow = difference[..., :2] / 128.0
    return flow if initial is None else 0.5 * (flow + np.nan_to_num(initial))


def video(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, H, W, 3), dtype=np.uint8), rng.integers(0, 3, (H, W))


class Watched:
    """Cues that note how many frames are asked for at once."""

    def __init__(self, cues):
        self._cues, self.longest = cues, 0
        self.count, self.clip = cues.count, cues.clip

    def section(self, start, stop, **options):
        self.longest = max(self.longest, stop - start)
        return self._cues.section(start, stop, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cues")


@settings(deadline=None, max_examples=20)
@given(st.data(), st.integers(1, 11), st.booleans())
def test_sections_are_those_of_the_whole(folder, data, n, segments):
    frames, _ = video(n)
    segment = SEGMENT if segments else None
    whole = clip_cues(clip_of(frames), motion, segment)
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    semantics = data.draw(st.booleans())
    flows = data.draw(st.sampled_from([BOTH, BOTH[:1], BOTH[1:]]))
    with StoredCues(folder, clip_of(frames), motion, segment) as cues:
        for _ in range(data.draw(st.integers(0, 2))):  # others may have come before
            before = data.draw(st.integers(0, n - 1))
            way = data.draw(st.sampled_from([BOTH, BOTH[:1], BOTH[1:]]))
            cues.section(before, data.draw(st.integers(before + 1, n)), flows=way)
        stored = cues.section(start, stop, semantics=semantics, flows=flows)
    held = HeldCues(whole).section(start, stop, semantics=semantics)
    for name in stored._fields:
        a, b = getattr(stored, name), getattr(held, name)
        if name.startswith("flow_") and name.removeprefix("flow_") not in flows:
            assert not a.size
        elif a.size or b.size:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=name)  # to the last bit


def test_a_section_of_one_frame_asks_no_flow():
    frames, _ = video(3)

    def of_one(clip, targets, sources, initial=None):
        raise AssertionError("a motion was asked about a single frame")

    one = MadeCues(clip_of(frames), of_one, SEGMENT).section(1, 2)
    held = HeldCues(clip_cues(clip_of(frames), motion, SEGMENT)).section(1, 2)
    for name, array, same in zip(one._fields, one, held, strict=True):
        assert array.shape == same.shape and array.dtype == same.dtype, name
        np.testing.assert_allclose(array, same, atol=1e-6, err_msg=name)
    assert one.flow_backward.shape == one.flow_forward.shape == (0, H, W, 2)


def test_networks_see_every_frame_once_and_few_together(folder):
    n, asked, read, flows = 23, [], [], []
    frames, _ = video(n)

    def segment(clip, positions):
        asked.append(len(positions))
        return SEGMENT(clip, positions)

    def counted(clip, targets, sources, initial=None):
        flows.append(len(targets))
        return motion(clip, targets, sources)

    def frame(i):
        read.append(i)
        return frames[i]

    with StoredCues(folder, Clip(n, frame), counted, segment) as cues:
        assert read == []
        for _ in range(3):
            cues.section(0, 2)
            cues.section(9, 23)
        np.testing.assert_array_equal(cues.clip.stack([5, 22, 0]), frames[[5, 22, 0]])
        assert sum(flows) == 2 * (4 + 14)  # the pairs that were asked for, in whole batches
        cues.section(0, n)
    assert read == list(range(n))
    assert max(asked) == frames_at_once(H, W) and sum(asked) == n
    assert max(flows) <= frames_at_once(H, W) and sum(flows) == 2 * (n - 1)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "warp-refine"])
def test_methods_label_the_same_from_sections(folder, method):
    n, key = 14, 5
    frames, label = video(n)
    config = PropagationConfig(horizon=3, tau=0.5, inpaint_confidence=0.4)
    held = HeldCues(clip_cues(clip_of(frames), motion, SEGMENT))
    run = functools.partial(label_frames, method, config)
    keys = (Keyframe(key, label),)
    whole = collect(n, run(LabelledWindow(held, keys, CLASSES, motion)))
    with StoredCues(folder, clip_of(frames), motion, SEGMENT) as cues:
        watched = Watched(cues)
        sections = collect(n, run(LabelledWindow(watched, keys, CLASSES, motion)))
    assert watched.longest <= 4
    for a, b in zip(sections, whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_chooser_labels_the_same_from_sections(folder):
    n, key = 8, 2
    frames, label = video(n)
    clip = clip_cues(clip_of(frames), motion, SEGMENT)
    chooser = build_chooser(width=4, class_width=4, class_convs=1)
    variables = _variables(chooser, clip, key, label)
    refiner = ChooserRefiner(chooser, variables, np.full((CLASSES.num_classes, 2), 0.5))

    def run(cues):
        window = LabelledWindow(cues, (Keyframe(key, label),), CLASSES, motion)
        return label_frames("warp-refine", PropagationConfig(), window, refiner)

    whole = collect(n, run(HeldCues(clip)))
    with StoredCues(folder, clip_of(frames), motion, SEGMENT) as cues:
        watched = Watched(cues)
        sections = collect(n, run(watched))
    assert watched.longest <= 2
    np.testing.assert_array_equal(sections.labels, whole.labels)
    np.testing.assert_array_equal(sections.confidence, whole.confidence)
    np.testing.assert_array_equal(whole.labels[key], label)
    assert len(np.unique(whole.labels[key + 1])) > 1


def _variables(chooser, clip, key, label):
    """Untrained weights; a chooser's parameters do not depend on the size of the picture."""
    active = hypotheses.active_classes(label, clip.probs)
    votes = jnp.zeros((1, 4, 4, len(hypotheses.HYPOTHESES), len(active)))
    guesses = hypotheses.Hypotheses(
        votes=votes,
        error=jnp.zeros((1, 4, 4, votes.shape[-2])),
        valid=jnp.zeros((1, 4, 4, votes.shape[-2])),
        drift=jnp.zeros((1, 4, 4)),
        age=jnp.zeros((1, 4, 4)),
        spread=jnp.zeros((1, 4, 4, 3)),
        speed=jnp.zeros((1, 4, 4)),
        distance=jnp.zeros((), jnp.int32),
        image=jnp.zeros((1, 4, 4, 3)),
    )
    assert window_orders(len(clip.frames), key).shape[0] == 2
    known = hypotheses.class_features(guesses, jnp.zeros((1, len(active), 2)))
    return chooser.init(jax.random.key(0), votes, hypotheses.frame_features(guesses), known)


def test_the_files_have_no_names_and_go(tmp_path):
    frames, _ = video(3)
    with StoredCues(tmp_path / "new", clip_of(frames), motion, None) as cues:
        cues.section(0, 3)
        assert list((tmp_path / "new").iterdir()) == []
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    frames, _ = video(3)
    place: Path = tmp_path / "file"
    place.write_text("")
    with (
        StoredCues(place, clip_of(frames), motion, None) as cues,
        pytest.raises(UserError, match="cannot hold"),
    ):
        cues.section(0, 1)


@pytest.mark.parametrize(
    ("size", "frames"), [((17, 31), 4), ((480, 854), 4), ((1080, 1920), 2), ((2160, 3840), 1)]
)
def test_large_frames_are_taken_in_smaller_batches(size, frames):
    assert frames_at_once(*size) == frames


@pytest.mark.parametrize("carrier", ["composed", "anchored"])
def test_motion_alone_asks_for_the_flow_towards_the_labelled_frame_only(folder, carrier):
    n, key, asked = 9, 3, []
    frames, label = video(n)

    def noted(clip, targets, sources, initial=None):
        asked.extend(zip(map(int, targets), map(int, sources), strict=True))
        return motion(clip, targets, sources)

    with StoredCues(folder, clip_of(frames), noted, None) as cues:
        window = LabelledWindow(cues, (Keyframe(key, label),), CLASSES, noted)
        options = PropagationConfig(horizon=3, carrier=carrier)
        collect(n, label_frames("motion-only", options, window))
    towards = [(t, t - 1 if t > key else t + 1) for t in range(n) if t != key]
    straight = [(0, 3), (6, 3)] if carrier == "anchored" else []  # every third
    assert sorted(asked) == sorted(towards + straight)
