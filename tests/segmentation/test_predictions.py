import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.segmentation.predictions import STRIDE, Predictions, block_means, write_arrays
from wrp_jax.types import ClassMap, UserError

CLASSES = ClassMap(
    ids=(0, 7, 9),
    names=("road", "car", "void"),
    colors=np.zeros((3, 3), np.uint8),
    void=(False, False, True),
)
SIZE = (20, 28)


def distribution(rng, size=SIZE, classes=3):
    scores = rng.uniform(size=(*size, classes)).astype(np.float32)
    return scores / scores.sum(-1, keepdims=True)


def save(folder, kind, suffix=".png"):
    path = folder / "s" / kind / f"a{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_pictures(folder, ids, sure):
    Image.fromarray(ids).save(save(folder, "labels"))
    Image.fromarray(sure).save(save(folder, "confidence"))


def test_arrays_come_back_exactly(tmp_path, rng):
    probs, features = distribution(rng), rng.normal(size=(3, 4, 6)).astype(np.float32)
    write_arrays(tmp_path, "s", "a", probs, features)
    got = Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    np.testing.assert_array_equal(got[0], probs)
    np.testing.assert_array_equal(got[1], features)


def test_labels_and_confidence_come_back_exactly(tmp_path, rng):
    # Every confidence that a likeliest of three classes can have, the lowest included.
    sure = np.linspace(1 / 3, 1.0, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.float32)
    label = rng.integers(0, 3, SIZE).astype(np.int32)
    writer = LabelWriter(tmp_path, CLASSES)
    writer.write("s", "a", label, sure)
    probs, features = Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    np.testing.assert_array_equal(probs.argmax(-1), label)
    np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-6)
    before = writer.confidence_path("s", "a").read_bytes(), writer.label_path("s", "a").read_bytes()
    writer.write("s", "a", probs.argmax(-1), probs.max(-1))
    after = writer.confidence_path("s", "a").read_bytes(), writer.label_path("s", "a").read_bytes()
    assert before == after
    np.testing.assert_array_equal(features, block_means(probs))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_their_ids_become_our_classes(tmp_path, dtype):
    names = {"11": "road", "300": "car", "4": None} if dtype == np.uint16 else {
        "11": "road", "13": "car", "4": None
    }  # fmt: skip
    (tmp_path / "class_map.json").write_text(json.dumps({"classes": names}))
    car = 300 if dtype == np.uint16 else 13
    ids = np.full((5, 7), 11, dtype)  # a quarter of the frame's size
    ids[:, 3:] = car
    ids[0] = 4
    save_pictures(tmp_path, ids, np.full((5, 7), 204, np.uint8))
    probs, _ = Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    np.testing.assert_allclose(probs[-1, 0], [0.8, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(probs[-1, 12], [0.1, 0.8, 0.1], rtol=1e-6)
    np.testing.assert_allclose(probs[3, 5], [0.5, 0.5, 0.0])  # nothing said, and void is no guess


def test_unlabelled_pixels_say_nothing(tmp_path):
    save_pictures(tmp_path, np.full(SIZE, 255, np.uint8), np.full(SIZE, 255, np.uint8))
    probs, _ = Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    np.testing.assert_allclose(probs[0, 0], [0.5, 0.5, 0.0])


COLORED = dataclasses.replace(
    CLASSES, colors=np.array([[128, 64, 128], [0, 0, 142], [0, 0, 0]], np.uint8)
)


@pytest.mark.parametrize("class_map", [None, {"0": "road", "1": "car", "9": "void", "5": None}])
def test_pictures_of_colours_and_palettes_in_another_order(tmp_path, rng, class_map):
    if class_map:
        (tmp_path / "class_map.json").write_text(json.dumps({"classes": class_map}))
    car = 1 if class_map else 7
    index = rng.integers(0, 2, SIZE)
    ids = np.array([0, car], np.uint8)[index]
    sure = np.full(SIZE, 255, np.uint8)
    read = lambda: Predictions(tmp_path, COLORED).read("s", "a", SIZE)[0].argmax(-1)  # noqa: E731

    save_pictures(tmp_path, COLORED.colors[index], sure)  # their colours are ours
    np.testing.assert_array_equal(read(), index)
    palette = np.zeros((256, 3), np.uint8)
    for name, colors, said in (
        ("own", COLORED.colors[:2], None),
        ("foreign", [[1, 2, 3], [4, 5, 6]], None),
        ("swapped", COLORED.colors[1::-1], "palette in another order"),
    ):
        palette[[0, car]] = colors
        picture = Image.fromarray(ids)
        picture.putpalette(palette.tobytes())
        picture.save(save(tmp_path, "labels"))
        if said is None:
            np.testing.assert_array_equal(read(), index, err_msg=name)
        else:
            with pytest.raises(UserError, match=said):
                read()
    Image.fromarray(ids).save(save(tmp_path, "labels"), format="JPEG")
    with pytest.raises(UserError, match="JPEG"):
        read()


def test_two_predictions_of_one_frame_are_refused(tmp_path, rng):
    source = open_source("synthetic:clips=1,frames=2,height=20,width=28")
    (sequence,) = source.sequences
    name = source.frame_names(sequence)[0]
    write_arrays(tmp_path, sequence, name, distribution(rng), np.zeros((1, 1, 1), np.float32))
    predictions = Predictions(tmp_path, CLASSES)
    predictions.check(source, [(sequence, name)])
    LabelWriter(tmp_path, CLASSES).write(sequence, name, np.zeros(SIZE, int), np.ones(SIZE))
    with pytest.raises(UserError, match=rf"{name}\.npz and .*labels/{name}\.png: remove one"):
        predictions.check(source, [(sequence, name)])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (None, "is damaged or no .npz"),
        ({"probs": np.zeros((*SIZE, 4), np.float32)}, "has 4 channels for 3 classes"),
        ({"probs": np.zeros((*SIZE, 3), np.float64)}, "save them as float16 or"),
        ({"logits": np.zeros((9, 28, 3), np.float32)}, "is 28x9 but its frame is 28x20"),
        ({"other": np.zeros(3)}, "must hold one array"),
        ({"probs": np.zeros((*SIZE, 3), np.float32), "features": np.zeros(3)}, "features must be"),
    ],
)
def test_headers_of_arrays_are_checked_before_any_is_read(tmp_path, rng, arrays, said):
    source = open_source("synthetic:clips=1,frames=2,height=20,width=28")
    (sequence,) = source.sequences
    frames = [(sequence, name) for name in source.frame_names(sequence)]
    for _, name in frames:
        write_arrays(tmp_path, sequence, name, distribution(rng), np.zeros((3, 4, 1), np.float32))
    path = Predictions.array_path(tmp_path, *frames[1])
    if arrays is None:
        path.write_bytes(path.read_bytes()[:-40])
    else:
        np.savez(path, **arrays)
    with pytest.raises(UserError, match=f"{path.name}.*{said}"):
        Predictions(tmp_path, CLASSES).check(source, frames)


def test_channels_of_one_class_add_up(tmp_path, rng):
    probs = distribution(rng, classes=4).astype(np.float16)
    names = {"0": "car", "1": "road", "2": "car", "3": None}
    (tmp_path / "class_map.json").write_text(json.dumps({"classes": names}))
    np.savez(save(tmp_path, "probs", ".npz"), probs=probs)
    got, _ = Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    p = probs.astype(np.float32)
    expected = np.stack([p[..., 1], p[..., 0] + p[..., 2], 0 * p[..., 0]], -1)
    np.testing.assert_allclose(got, expected / expected.sum(-1, keepdims=True), rtol=1e-5)


def test_logits_of_any_stride_are_enlarged_before_the_softmax(tmp_path):
    logits = np.zeros((1, 2, 3), np.float32)
    logits[0, 0, 0], logits[0, 1, 1], logits[..., 2] = 8.0, 8.0, -40.0
    np.savez(save(tmp_path, "probs", ".npz"), logits=logits)
    probs, features = Predictions(tmp_path, CLASSES).read("s", "a", (8, 16))
    # Half-pixel centres: the two are equal in the middle, and logits cross linearly.
    weight = (np.arange(4, 12) - 3.5) / 8.0  # of the right one
    expected = 1.0 / (1.0 + np.exp(-8.0 * (2.0 * weight - 1.0)))
    np.testing.assert_allclose(probs[0, 4:12, 1], expected, atol=1e-4)
    assert features.shape == (1, 2, 3) and STRIDE == 8


def broken(tmp_path, case):
    if case == "missing":
        return "no prediction .*labels/a.png"
    if case == "no_confidence":
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(save(tmp_path, "labels"))
        return "confidence/a.png is missing"
    if case == "unknown_id":
        save_pictures(tmp_path, np.full(SIZE, 3, np.uint8), np.zeros(SIZE, np.uint8))
        return "labels/a.png has 560 pixels with ids outside"
    if case == "deep_confidence":
        save_pictures(tmp_path, np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint16))
        return "confidence/a.png is uint16"
    path = save(tmp_path, "probs", ".npz")
    if case == "cut_off":
        np.savez(path, probs=np.ones((*SIZE, 3), np.float32))
        path.write_bytes(path.read_bytes()[:-40])
        return "a.npz is damaged"
    arrays, message = {
        "two": ({"probs": np.ones((2, 2, 3)), "logits": np.ones((2, 2, 3))}, "one array"),
        "double": ({"probs": np.ones((*SIZE, 3))}, "float64"),
        "negative": ({"probs": -np.ones((*SIZE, 3), np.float32)}, "negative"),
        "infinite": ({"logits": np.full((*SIZE, 3), np.inf, np.float32)}, "not finite"),
        "channels": ({"probs": np.ones((*SIZE, 5), np.float32)}, "5 channels"),
        "shape": ({"probs": np.ones((20, 20, 3), np.float32)}, "is 20x20 but its frame is 28x20"),
    }[case]
    np.savez(path, **arrays)
    return f"a.npz.*{message}"


CASES = (
    "missing no_confidence unknown_id deep_confidence cut_off two double negative infinite "
    "channels shape"
)


@pytest.mark.parametrize("case", CASES.split())
def test_bad_files_are_named_in_one_sentence(tmp_path, case):
    message = broken(tmp_path, case)
    with pytest.raises(UserError, match=message) as raised:
        Predictions(tmp_path, CLASSES).read("s", "a", SIZE)
    assert "\n" not in str(raised.value)


def test_bad_class_maps(tmp_path):
    path = tmp_path / "class_map.json"
    for content, message in (
        ('{"classes": {"1": "bus"}}', "no class of classes.json"),
        ('{"classes": {"x": "car"}}', "no class map"),
        ("[]", "no class map"),
        ('{"classes": {"1": "car", "01": "road"}}', "no class map"),
        ('{"classes": {"1": "car", "1": "road"}}', "no class map"),
        ('{"classes": {"1_0": "car"}}', "no class map"),
        ('{"classes": {}, "Classes": {"1": "car"}}', "has the key 'Classes'"),
        ("[" * 100_000, "no class map"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=message):
            Predictions(tmp_path, CLASSES)
    with pytest.raises(UserError, match="not a folder"):
        Predictions(tmp_path / "nowhere", CLASSES)
