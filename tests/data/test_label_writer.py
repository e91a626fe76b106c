import io

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data import images, label_maps
from wrp_jax.data import label_writer as writers
from wrp_jax.data.folder import open_folder
from wrp_jax.data.open_source import input_folder
from wrp_jax.types import UNLABELLED, UserError

CLASSES = label_maps.parse_classes(
    {
        "classes": [
            {"id": 3, "name": "road", "color": [128, 64, 128]},
            {"id": 200, "name": "car", "color": [0, 0, 142]},
        ]
    },
    "f",
)
LABEL = np.array([[0, 1, UNLABELLED], [1, 1, 0]], np.int32)
CONFIDENCE = np.array([[0, 1, 0.5], [0.002, 0.25, 1]], np.float32)


def test_writes_ids_colors_and_confidence(tmp_path):
    writer = writers.LabelWriter(tmp_path / "out", CLASSES)
    assert not writer.is_done("s", "f") and not (tmp_path / "out").exists()
    writer.write("s", "f", LABEL, CONFIDENCE)
    assert writer.is_done("s", "f")
    image = Image.open(tmp_path / "out/s/labels/f.png")
    assert image.mode == "P"
    assert np.asarray(image).tolist() == [[3, 200, 255], [200, 200, 3]]
    colors = np.asarray(image.convert("RGB"))
    assert colors[0].tolist() == [[128, 64, 128], [0, 0, 142], [255, 255, 255]]
    grey = np.asarray(Image.open(tmp_path / "out/s/confidence/f.png"))
    assert grey.tolist() == [[0, 255, 128], [1, 64, 255]]
    assert sorted(p.name for p in (tmp_path / "out/s").rglob("*")) == [
        "confidence", "f.png", "f.png", "labels",
    ]  # fmt: skip


def test_written_labels_are_read_back_as_a_folder(tmp_path, folder):
    source = open_folder(folder)
    writer = writers.LabelWriter(folder, source.classes)
    label = source.label("a", "000001")
    writer.write("a", "000002", label, np.ones(label.shape, np.float32))
    assert (open_folder(folder).label("a", "000002") == label).all()


def test_writing_twice_gives_the_same_bytes(tmp_path):
    writer = writers.LabelWriter(tmp_path, CLASSES)
    contents = []
    for _ in range(2):
        writer.write("s", "f", LABEL, CONFIDENCE)
        contents.append(writer.label_path("s", "f").read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan])
def test_confidence_must_be_a_probability(tmp_path, wrong):
    writer = writers.LabelWriter(tmp_path, CLASSES)
    with pytest.raises(ValueError, match="confidence"):
        writer.write("s", "f", LABEL, np.full((2, 3), wrong, np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "a\\b", "a\0b"])
def test_names_cannot_lead_out_of_the_output(tmp_path, name):
    writer = writers.LabelWriter(tmp_path, CLASSES)
    for sequence, frame in ((name, "f"), ("s", name)):
        with pytest.raises(UserError, match="no name for a file"):
            writer.label_path(sequence, frame)


def test_longest_names_can_be_written(tmp_path):
    writer = writers.LabelWriter(tmp_path, CLASSES)
    writer.write("s" * 255, "f" * 251, LABEL, CONFIDENCE)
    assert writer.is_done("s" * 255, "f" * 251)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("{}", "d"),
        ("tfds:set/part:train[:9]@{}", "d"),
        ("tfds:set/part:train", None),
        ("synthetic:clips=1", None),
        ("synthetic", None),
    ],
)
def test_inputs_lie_where_their_names_tell(tmp_path, spec, name):
    expected = None if name is None else tmp_path / name
    assert input_folder(spec.format(tmp_path / "d")) == expected


def test_png_takes_8_bit_only():
    with pytest.raises(TypeError):
        images.encode_png(np.zeros((2, 2), np.int32))


@pytest.mark.parametrize("kind", ["frame", "labels", "palette"])
@pytest.mark.parametrize("shape", [(1, 1), (60, 80)])
def test_pictures_are_packed_small_and_without_loss(rng, kind, shape):
    colors = rng.integers(0, 256, (256, 3), np.uint8) if kind == "palette" else None
    picture = np.kron(rng.integers(0, 20, (6, 8)), np.ones((10, 10)))[: shape[0], : shape[1]]
    if kind == "frame":
        slopes = np.add.outer(np.arange(shape[0]), np.arange(shape[1]))
        picture = slopes[..., None] + [0, 40, 80] + rng.integers(0, 6, (*shape, 3))
    picture = picture.astype(np.uint8)
    data = images.encode_png(picture, colors)
    read = images.decode_frame if kind == "frame" else lambda *a: images.decode_label(*a).pixels
    np.testing.assert_array_equal(read(data, "a.png"), picture)
    pillows = Image.fromarray(picture)
    if colors is not None:
        pillows.putpalette(colors.tobytes())
        np.testing.assert_array_equal(images.decode_label(data, "a.png").palette, colors)
    buffer = io.BytesIO()
    pillows.save(buffer, "PNG")
    assert len(data) < 1.1 * len(buffer.getvalue())
