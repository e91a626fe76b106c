"""``Model`` over arrays; networks are stood in for by such that read classes off the colours."""

import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import wrp_jax
from wrp_jax.api import model as api
from wrp_jax.config import Config
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.methods import METHODS
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.runs.networks import Networks
from wrp_jax.types import UNLABELLED, UserError

IDS = np.array([7, 26, 40])
CLASSES = {7: "road", 26: "car", 40: "sky"}
H, W, N = 10, 14, 9


def segment(clip, positions):
    probs = np.eye(3, dtype=np.float32)[clip.stack(positions)[..., 0] // 100] * 0.97 + 0.01
    return probs, np.zeros((len(positions), 2, 2, 4), np.float32)


class Latest:
    """A refiner that says the last class everywhere."""

    def label(self, config, window):
        keys = {key.index: key.label for key in window.keys}
        sure = np.full((H, W), 0.5, np.float32)
        for i in range(window.cues.count):
            yield FramePrediction(i, keys.get(i, np.full((H, W), 2, np.int32)), sure)


@pytest.fixture
def clip(rng):
    """Frames, and the labels of frames 2 and 7: classes are columns of different width."""
    frames = np.zeros((N, H, W, 3), np.uint8)
    labels = np.zeros((N, H, W), np.int64)
    for t in range(N):
        labels[t] = (np.arange(W) > 2 + t).astype(int)
    frames[..., 0] = 100 * labels
    return frames, {2: IDS[labels[2]], 7: IDS[labels[7]]}, IDS[labels]


@pytest.fixture
def asked(monkeypatch):
    """What networks are loaded for."""
    asked = []

    def load(config, methods, source, windows, workdir):
        asked.append((tuple(methods), [w.key for w in windows]))
        return Networks(zero_motion(), segment, Latest(), "")

    monkeypatch.setattr(api, "load_networks", load)
    return asked


@pytest.fixture
def model(tmp_path, asked):
    for stage in ("segmentation", "refiner"):
        (tmp_path / f"{stage}.npz").touch()
    config = Config()
    config.propagation.sides = "nearest"
    return api.Model(config, wrp_jax.class_map(CLASSES), tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_labels_every_frame_in_the_users_ids(model, clip, method):
    frames, labels, truth = clip
    result = wrp_jax.collect(model.propagate(frames, labels, method=method))
    assert result.labels.shape == result.confidence.shape == (N, H, W)
    assert result.labels.dtype == np.uint8 and result.confidence.dtype == np.float32
    assert result.confidence.min() >= 0 and result.confidence.max() <= 1
    assert result.frames.tolist() == list(range(N))
    for key, label in labels.items():
        np.testing.assert_array_equal(result.labels[key], label)
    others = [t for t in range(N) if t not in labels]
    if method.startswith("semantic"):
        np.testing.assert_array_equal(result.labels, truth)
    elif method == "warp-refine":
        assert (result.labels[others] == 40).all() and (result.confidence[others] == 0.5).all()
    else:  # nothing moves; the nearest labelled frame, the earlier of two
        nearest = [2, 2, 2, 2, 2, 7, 7, 7, 7]
        np.testing.assert_array_equal(result.labels[0], labels[2])
        if method != "warp-inpaint":
            expected = [labels[key] for key in nearest]
            np.testing.assert_array_equal(result.labels, expected)


def test_frames_come_one_by_one_from_the_nearest_labelled_one(model, clip):
    frames, labels, _ = clip
    read = []

    class Reader:
        def __len__(self):
            return N

        def __getitem__(self, i):
            read.append(i)
            return frames[i]

    found = model.propagate(Reader(), labels, method="static", horizon=1)
    first = next(found)
    assert max(read) < 5  # the second labelled frame's window is not open yet
    told = [(said.frame, said.key) for said in (first, *found)]
    assert sorted(told) == [(1, 2), (2, 2), (3, 2), (6, 7), (7, 7), (8, 7)]
    assert first.steps is not None and not first.steps.any()
    result = wrp_jax.collect(model.propagate(frames, labels, method="static", horizon=1))
    assert result.frames.tolist() == [1, 2, 3, 6, 7, 8]


def test_the_horizon_is_the_configs_unless_given(model, clip):
    frames, labels, _ = clip
    one = {2: labels[2]}
    for horizon in (1, 4):
        model.config.propagation.horizon = horizon
        told = sorted(said.frame for said in model.propagate(frames, one, method="static"))
        assert told == list(range(max(0, 2 - horizon), 3 + horizon))
    # Without a model every frame gets labels, however far it is.
    config = Config(stages=())
    config.propagation.horizon = 1
    result = wrp_jax.propagate(frames, one, CLASSES, method="static", config=config)
    assert len(result.labels) == N


def test_networks_are_loaded_once_for_what_is_read(model, clip, asked):
    frames, labels, _ = clip
    for _ in range(2):
        list(model.propagate(frames, labels, method="warp-refine"))
        list(model.propagate(frames, {0: labels[2]}, method="motion-only"))
    assert asked == [(("warp-refine",), ["000002", "000007"]), (("motion-only",), ["000000"])]
    model.config.propagation.tau = 0.1
    list(model.propagate(frames, labels))
    assert len(asked) == 2
    model.config.motion.preset = "fast"
    list(model.propagate(frames, labels))
    assert len(asked) == 3


def test_the_labelled_image_goes_along_where_asked(model, clip):
    frames, labels, _ = clip
    assert all(f.image is None for f in model.propagate(frames, labels, method="motion-only"))
    model.config.propagation.move_images = True
    for said in model.propagate(frames, labels, method="motion-only"):
        np.testing.assert_array_equal(said.image, frames[said.key])  # nothing moves


def test_where_nothing_is_said_stands_255_or_void(model, clip):
    frames, labels, _ = clip
    model.config.propagation.semantic_confidence = 0.999
    found = {}
    for classes in (CLASSES, {**CLASSES, 255: "void"}, {**CLASSES, 3: "void"}):
        model.classes = wrp_jax.class_map(classes)
        result = wrp_jax.collect(model.propagate(frames, labels, method="semantic-only"))
        found[len(classes), result.labels[0, 0, 0]] = True
    assert list(found) == [(3, UNLABELLED), (4, 255), (4, 3)]


def test_segmentation_needs_no_label(model, clip):
    frames, _, truth = clip
    parts = list(model.segment(frames))
    assert [said.frame for said in parts] == list(range(N)) and parts[0].key is None
    result = wrp_jax.collect(parts)
    np.testing.assert_array_equal(result.labels, truth)
    np.testing.assert_allclose(result.confidence, 0.98, atol=1e-6)


def test_a_model_knows_what_it_can_run(model):
    assert model.methods == tuple(METHODS)
    (model.workdir / "refiner.npz").unlink()
    assert model.methods == tuple(m for m in METHODS if m != "warp-refine")
    (model.workdir / "segmentation.npz").unlink()
    assert model.methods == ("static", "motion-only", "flow-voting")
    assert "static, motion-only" in repr(model)
    config = dataclasses.replace(Config())
    config.segmentation.name, config.segmentation.weights = "hrnet_ocr", "x.pth"
    assert api.Model(config, model.classes).methods == tuple(METHODS)[:-1]


def test_mistakes_are_told_at_once(model, clip):
    frames, labels, _ = clip
    (model.workdir / "refiner.npz").unlink()
    for arguments, options, says in [
        ((frames, {}), {}, "labels is empty"),
        ((frames[:1], {0: labels[2]}), {}, "one frame only"),
        ((frames, labels), {"method": "magic"}, "'magic' is unknown: use one of static, motion-on"),
        ((frames, labels), {}, "needs a trained refiner; the training in .* was stopped"),
        ((frames, labels), {"method": "static", "horizon": 0}, "horizon is 0"),
        ((frames, labels), {"method": "static", "horizon": 1.5}, "horizon is 1.5"),
        ((frames / 255.0, labels), {"method": "static"}, "float64"),
    ]:
        with pytest.raises(UserError, match=says):
            model.propagate(*arguments, **options)  # nothing is asked of the iterator
    (model.workdir / "segmentation.npz").unlink()
    with pytest.raises(UserError, match="needs a trained segmentation network"):
        model.segment(frames)
    with pytest.raises(UserError, match="no labelled frames"):
        wrp_jax.collect([])


def test_motion_alone_needs_no_model(rng):
    """Real flow on a square that moves two pixels a frame."""
    frames = np.full((5, 40, 60, 3), 90, np.uint8)
    texture = rng.integers(0, 256, (20, 20, 3), np.uint8)
    truth = np.full((5, 40, 60), 7)
    for t in range(5):
        frames[t, 10:30, 10 + 2 * t : 30 + 2 * t] = texture
        truth[t, 10:30, 10 + 2 * t : 30 + 2 * t] = 26
    result = wrp_jax.propagate(list(frames), {2: truth[2].astype(np.int16)}, CLASSES)
    assert (result.labels == truth).mean() > 0.97
    still = wrp_jax.propagate(frames, {2: truth[2]}, CLASSES, method="static")
    assert (still.labels == truth).mean() < 0.97
    with pytest.raises(UserError, match="needs a trained segmentation network"):
        wrp_jax.propagate(frames, {2: truth[2]}, CLASSES, method="warp-refine")


def test_nothing_is_left_behind(model, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(api.tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    frames, labels, _ = clip
    found = model.propagate(frames, labels, method="warp-inpaint")
    list(itertools.islice(found, 2))
    assert list((tmp_path / "scratch").iterdir())
    found.close()  # as when the loop is left
    assert not list((tmp_path / "scratch").iterdir())


def test_frames_between_two_labelled_ones_come_from_both(model, clip):
    frames, labels, _ = clip
    model.config.propagation.sides = "both"
    told = list(model.propagate(frames, labels, method="motion-only"))
    assert sorted(said.frame for said in told) == list(range(N))
    assert [said.key for said in sorted(told, key=lambda said: said.frame)] == [2] * 5 + [7] * 4
    result = wrp_jax.collect(told)
    for key, label in labels.items():
        np.testing.assert_array_equal(result.labels[key], label)
    # The columns that both call so are so, as sure as can be.
    same = labels[2] == labels[7]
    for t in range(3, 7):
        np.testing.assert_array_equal(result.labels[t][same], labels[2][same])
        np.testing.assert_allclose(result.confidence[t][same], 1)
        assert (result.confidence[t][~same] < 1).all()
    cut = sorted(said.frame for said in model.propagate(frames, labels, method="static", horizon=2))
    assert cut == list(range(N))


def test_all_within_reach_have_a_say_on_request(model, clip):
    frames, labels, _ = clip
    found = {}
    for sides in ("both", "all"):
        model.config.propagation.sides = sides
        found[sides] = wrp_jax.collect(model.propagate(frames, labels, method="motion-only"))
    both, everything = found["both"], found["all"]
    np.testing.assert_array_equal(everything.labels[2:8], both.labels[2:8])
    # Before the first labelled frame and after the last one, the other has a say now.
    assert (everything.confidence[[0, 1, 8]] != both.confidence[[0, 1, 8]]).any()


def test_labels_nobody_asks_for_to_the_end_leave_nothing_when_python_ends(tmp_path):
    program = """
import numpy as np, wrp_jax
from wrp_jax.api.model import Model
model = Model(wrp_jax.Config(stages=()), wrp_jax.class_map(["a", "b"]))
frames, label = np.zeros((4, 8, 8, 3), np.uint8), np.zeros((8, 8), int)
told = model.propagate(frames, {1: label}, method="static")
print(len([next(told), next(told)]))
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (found.stdout, found.stderr) == ("2\n", "")
    assert not list(tmp_path.iterdir())
