"""Arrays as a source of video, and what a notebook's user gets wrong about them."""

import pickle

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.arrays import ArraySource
from wrp_jax.data.source import VideoSource
from wrp_jax.types import UserError

CLASSES = {7: "road", 26: "car"}


@pytest.fixture
def frames(rng):
    return rng.integers(0, 256, (4, 5, 6, 3), np.uint8)


@pytest.fixture
def label():
    return np.where(np.arange(30).reshape(5, 6) % 2, 26, 7)


def source(frames, labels, classes=CLASSES):
    return ArraySource({"a": (frames, labels)}, classes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint32])
def test_it_is_a_source_with_class_indices_inside(frames, label, dtype):
    made = source(frames, {np.int32(2): label.astype(dtype)})
    assert isinstance(made, VideoSource) and made.sequences == ("a",)
    assert made.frame_names("a") == ("000000", "000001", "000002", "000003")
    assert made.label_names("a") == {"000002"}
    np.testing.assert_array_equal(made.frame("a", "000001"), frames[1])
    np.testing.assert_array_equal(made.label("a", "000002"), label // 26)
    assert np.shares_memory(made.frame("a", "000001"), frames)
    again = pickle.loads(pickle.dumps(made))  # to worker processes
    np.testing.assert_array_equal(again.frame("a", "000003"), frames[3])


def test_frames_may_be_a_list_of_pictures_and_clips_may_be_many(frames, label):
    pictures = [Image.fromarray(frame) for frame in frames]
    made = ArraySource({"b": (pictures, {0: label}), "a": (frames, {})}, CLASSES)
    assert made.sequences == ("b", "a")
    np.testing.assert_array_equal(made.frame("b", "000003"), frames[3])


def test_a_sequence_that_reads_is_read_when_asked(frames, label):
    read = []

    class Reader:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            read.append(i)
            return frames[i] if i < 3 else frames[i][:2]

    made = source(Reader(), {0: label})
    assert set(read) == {0}
    made.frame("a", "000002")
    assert read[-1] == 2
    with pytest.raises(UserError, match=r"frame 3 is uint8 \[2, 6, 3\] and frame 0 is \[5, 6, 3\]"):
        made.frame("a", "000003")


def _floats(f):
    return f / 255.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (_floats, r"float64 \[4, 5, 6, 3\]: give uint8 RGB .*np.rint\(frames \* 255\)"),
        (lambda f: f.astype(np.float32), r"np.rint\(frames\)"),
        (lambda f: f.astype(np.int64), r"int64 .*frames.astype\(np.uint8\)"),
        (lambda f: f[0], "that is one picture"),
        (lambda f: f[..., 0], "grey pictures"),
        (lambda f: f.transpose(0, 3, 1, 2), "the colours must come last"),
        (lambda f: np.concatenate([f, f[..., :1]], -1), "the fourth channel must go"),
        (lambda f: f[:0], "frames is empty"),
        (lambda f: f[:, :0], "give uint8 RGB"),
        (iter, "of type iterator"),
        (lambda f: "clip.mp4", "of type str"),
        (lambda f: [f[0], f[1][:3]], r"frame 1 is uint8 \[3, 6, 3\] and frame 0 is \[5, 6, 3\]"),
        (lambda f: [f[0], f[1] / 255], r"frame 1 is float64"),
    ],
)
def test_wrong_frames(frames, wrong, says):
    with pytest.raises(UserError, match=says) as raised:
        source(wrong(frames), {})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda x: x, "give {index of a frame: label}"),
        (lambda x: {4: x}, "labels has frame 4: there are 4 frames, 0 to 3"),
        (lambda x: {-1: x}, "labels has frame -1"),
        (lambda x: {True: x}, "labels has frame True"),
        (lambda x: {"0001": x}, "labels has the key '0001'"),
        (lambda x: {0: x[:4]}, r"labels\[0\] is int64 \[4, 6\] and the frames are \[5, 6\]"),
        (lambda x: {0: x.T}, r"rows come first \(labels\[0\].T\)"),
        (lambda x: {0: x[..., None]}, "drop the last axis"),
        (lambda x: {0: np.eye(2)[x // 26]}, r"labels\[0\].argmax"),
        (lambda x: {0: x.astype(float)}, "float64 .*as integers"),
        (lambda x: {0: x > 7}, "bool .*as integers"),
        (
            lambda x: {0: np.where(np.arange(6) < 1, 255, x)},
            r"labels\[0\] has 5 pixels with ids that are not in classes \(255; the first is 255 at "
            r"row 0, column 0\); classes has 7, 26.*'void'",
        ),
        (lambda x: {1: np.where(x > 7, x, -300)}, r"15 pixels .*\(-300; the first .* column 0"),
    ],
)
def test_wrong_labels(frames, label, wrong, says):
    with pytest.raises(UserError, match=says) as raised:
        source(frames, wrong(label))
    assert "\n" not in str(raised.value)
