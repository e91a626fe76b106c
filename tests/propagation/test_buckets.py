"""Frames of several sizes share the programs of propagation, and are labelled as without."""

from collections import Counter

import jax.monitoring
import numpy as np
import pytest

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation import along_chains
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import label_frames
from wrp_jax.propagation.results import collect
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, clip_of

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
SIZES = (24, 30), (31, 27), (17, 32)
COMPILED = "/jax/core/compile/backend_compile_duration"


def motion(clip, targets, sources, initial=None):
    """Some pixels far away, out of the frame and void flow, too."""
    difference = clip.stack(targets).astype(np.float32) - clip.stack(sources)
    flow = difference[..., :2] / 24.0
    flow[:, 3, 4] = np.nan
    return flow


def segment(clip, positions):
    probs = clip.stack(positions).astype(np.float32) + 1
    return probs / probs.sum(-1, keepdims=True), np.zeros((len(positions), 3, 4, 2), np.float32)


def propagate(size, method, keys=(2,), **options):
    rng = np.random.default_rng(size)
    frames = rng.integers(0, 256, (5, *size, 3), dtype=np.uint8)
    label = rng.integers(0, 3, size).astype(np.int32)
    cues = HeldCues(clip_cues(clip_of(frames), motion, segment))
    window = LabelledWindow(cues, tuple(Keyframe(k, label) for k in keys), CLASSES, motion)
    config = PropagationConfig(horizon=3, tau=0.3, inpaint_confidence=0.4, **options)
    return collect(5, label_frames(method, config, window))


@pytest.fixture
def compiled():
    """Counts programs that are compiled, or found among those that were kept."""
    count = Counter()

    def listen(event, duration, **_):
        count[event] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield lambda: count[COMPILED]
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("method", ["motion-only", "warp-inpaint"])
def test_three_sizes_are_compiled_once(compiled, method):
    jax.clear_caches()
    counts = [0]
    for size in SIZES:
        propagate(size, method)
        counts.append(compiled())
    first, *others = np.diff(counts)
    assert 1 <= first <= 2
    assert others == [0, 0]
    propagate((33, 30), method)  # of another bucket
    assert compiled() > counts[-1]


@pytest.mark.parametrize(
    ("size", "method", "keys", "options"),
    [
        ((24, 30), "motion-only", (2,), {"move_images": True}),
        ((31, 27), "motion-only", (0, 4), {}),
        ((24, 30), "warp-inpaint", (0, 4), {}),
        ((31, 27), "warp-inpaint", (2,), {"carrier": "hard"}),
        ((24, 30), "warp-inpaint", (2,), {"carrier": "soft"}),
        ((24, 30), "motion-only", (0,), {"carrier": "composed"}),
        ((24, 30), "motion-only", (0,), {"move_images": True}),
    ],
)
def test_labels_are_those_of_frames_that_are_not_filled_up(
    monkeypatch, size, method, keys, options
):
    shared = propagate(size, method, keys, **options)
    monkeypatch.setattr(along_chains, "BUCKET", 1)
    alone = propagate(size, method, keys, **options)
    for name, a, b in zip(shared._fields, shared, alone, strict=True):
        if a is not None or b is not None:
            np.testing.assert_array_equal(a, b, err_msg=name)  # to the last bit


@pytest.mark.parametrize("carrier", ["composed", "anchored"])
def test_chunks_change_nothing(monkeypatch, carrier):
    whole = propagate((24, 30), "motion-only", (0,), carrier=carrier)
    monkeypatch.setattr(along_chains, "CHUNK_BYTES", 1)
    monkeypatch.setattr(along_chains, "frames_at_once", lambda h, w: 1)
    parts = propagate((24, 30), "motion-only", (0,), carrier=carrier)
    for a, b in zip(whole, parts, strict=True):
        if a is not None or b is not None:
            np.testing.assert_array_equal(a, b)


def test_an_anchored_chain_is_another_from_the_third_frame_on_and_images_go_along():
    composed, anchored = (
        propagate((24, 30), "motion-only", (0,), carrier=carrier, move_images=True)
        for carrier in ("composed", "anchored")
    )
    for name in ("labels", "images"):
        pairs = zip(getattr(composed, name), getattr(anchored, name), strict=True)
        changed = [(a != b).mean() for a, b in pairs]
        assert changed[:3] == [0, 0, 0]
        assert min(changed[3:]) > 0.05


def test_steps_without_straight_flow_compare_none(monkeypatch):
    """Not even beside the frame, where arrays are filled up: comparing takes most of a step."""
    seen, run = [], along_chains._run_chunk
    monkeypatch.setattr(
        along_chains,
        "_run_chunk",
        lambda state, chain, *more, **options: (
            seen.extend(np.isfinite(chain.direct).any((1, 2, 3, 4))),
            run(state, chain, *more, **options),
        )[1],
    )
    propagate((24, 30), "motion-only", (0,))
    assert seen[:4] == [False, False, True, False] and not any(seen[4:])
