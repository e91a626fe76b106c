import numpy as np
import pytest

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import read_clip
from wrp_jax.segmentation.predicted import ErrorModel, PrecomputedSegment
from wrp_jax.segmentation.predictions import Predictions, write_arrays
from wrp_jax.types import ClassMap, Imitable, Segment, UserError, Window

CLASSES = ClassMap((0, 1, 2), ("a", "b", "v"), np.zeros((3, 3), np.uint8), (False, False, True))
VOID = (False, False, True)


class Video:
    name = "video"
    classes = CLASSES
    sequences = ("s",)

    def frame_names(self, sequence):
        return ("0", "1", "2")

    def label_names(self, sequence):
        return frozenset("1")

    def frame(self, sequence, name):
        return np.full((32, 40, 3), 20 * int(name), np.uint8)

    def label(self, sequence, name):
        return np.repeat(np.arange(40) // 20, 32).reshape(40, 32).T.astype(np.int32)


WINDOW = Window("s", "1", "0", "2")


def write(folder, rng):
    video = Video()
    written = {}
    for name in "012":
        probs = rng.dirichlet([1.0, 1.0, 1.0], (32, 40)).astype(np.float32)
        probs /= probs.sum(-1, keepdims=True)
        written[name] = probs
        write_arrays(folder, "s", name, probs, np.zeros((4, 5, 2), np.float32))
    return video, written


def test_frames_are_found_in_any_order_and_number(tmp_path, rng):
    video, written = write(tmp_path, rng)
    segment = PrecomputedSegment(Predictions(tmp_path, CLASSES), [WINDOW])
    clip = read_clip(video, "s", "012")
    probs, features = segment(clip, [2, 0, 1])
    np.testing.assert_array_equal(probs, np.stack([written[name] for name in "201"]))
    assert features.shape == (3, 4, 5, 2)
    part = read_clip(video, "s", "12")  # positions count from where a clip begins
    np.testing.assert_array_equal(segment(part, [1])[0][0], written["2"])
    with pytest.raises(ValueError, match="frames of no video"):
        segment(clip._replace(sequence="", names=()), [0])


def test_features_of_several_shapes_are_refused(tmp_path, rng):
    video, written = write(tmp_path, rng)
    write_arrays(tmp_path, "s", "2", written["2"], np.zeros((4, 5, 3), np.float32))
    segment = PrecomputedSegment(Predictions(tmp_path, CLASSES), [WINDOW])
    with pytest.raises(UserError, match="differ in shape"):
        segment(read_clip(video, "s", "12"), range(2))


def test_imitations_err_as_often_as_the_files(tmp_path, rng):
    label = rng.integers(0, 2, (12, 12)).repeat(16, 0).repeat(16, 1)
    # Class 1 is taken for class 0 in a quarter of the picture; sure when right, unsure when not.
    said = np.where((label == 1) & (np.arange(192) < 96), 0, label)
    sure = np.where(said == label, 0.95, 0.6)
    probs = np.repeat(((1 - sure) / 2)[..., None], 3, -1).astype(np.float32)
    np.put_along_axis(probs, said[..., None], sure[..., None].astype(np.float32), -1)
    error_model = ErrorModel(VOID)
    error_model.learn(probs, label)
    rates = []
    for _ in range(30):
        got = error_model.imitate(rng, label)
        np.testing.assert_allclose(got.sum(-1), 1.0, atol=1e-5)
        wrong = got.argmax(-1) != label
        rates.append([wrong[label == 1].mean(), wrong[label == 0].mean()])
        assert got.max(-1)[~wrong].mean() > got.max(-1)[wrong].mean()
    missed, found = np.mean(rates, 0)
    assert missed == pytest.approx((said != label)[label == 1].mean(), abs=0.08)
    assert found < 0.05


def test_a_segment_imitates_from_the_labelled_frames(tmp_path, rng):
    video, _ = write(tmp_path, rng)
    known = KnownLabels(video, [WINDOW])
    segment = PrecomputedSegment(Predictions(tmp_path, CLASSES), [WINDOW], known)
    labels = np.stack([video.label("s", "1"), np.full((32, 40), -1)])
    probs, features = segment.imitate(rng, labels)
    assert probs.shape == (2, 32, 40, 3) and features.shape == (2, 4, 5, 3)
    assert isinstance(segment, Imitable) and isinstance(segment, Segment)
