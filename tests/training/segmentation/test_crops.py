"""Coarse labels: pictures of one colour each, so that a crop tells which frame it is of."""

import dataclasses

import numpy as np
import pytest

from wrp_jax.config import SegmentationConfig, SegmentationSampling
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.training.segmentation.crops import build_crop_dataset
from wrp_jax.types import ClassMap, UserError

CLASSES = ClassMap((0, 1, 2), ("road", "bus", "sky"), np.zeros((3, 3), np.uint8), (False,) * 3)
FRAMES = {"fine_a": 10, "fine_b": 20, "coarse_a": 100, "coarse_b": 200}
OPTIONS = SegmentationSampling(
    crop=(16, 16),
    augmentation="published",
    scale=(1.0, 1.0),
    blur=0.0,
    class_share=0.5,
    coarse="coarse_*",
    coarse_classes=("bus",),
)


class Stills:
    """Road and sky in each frame; a bus in one fine and in both coarse ones."""

    name = "stills"
    classes = CLASSES
    sequences = tuple(FRAMES)

    def frame_names(self, sequence):
        return ("0",)

    label_names = frame_names

    def frame(self, sequence, name):
        return np.full((32, 48, 3), FRAMES[sequence], np.uint8)

    def label(self, sequence, name):
        label = np.zeros((32, 48), np.int32)
        label[:8] = 2
        if sequence != "fine_a":
            label[20:28, 20:28] = 1
        return label


def _dataset(sequences=tuple(FRAMES), **options):
    source = Stills()
    known = KnownLabels(source, (), [(source, [(s, "0") for s in sequences])])
    return build_crop_dataset(
        SegmentationConfig(sampling=dataclasses.replace(OPTIONS, **options)), known, source, ()
    )


def _shown(dataset, index=0, draws=400):
    """Per sequence how often its frame was drawn."""
    rng = np.random.default_rng(0)
    names, values = list(FRAMES), np.array(list(FRAMES.values()))
    found = np.zeros(len(names), int)
    for _ in range(draws):
        level = np.median(dataset.draw(index, rng).image)
        found[np.abs(values * 1.0 - level).argmin()] += 1
    return dict(zip(names, found / draws, strict=True))


@pytest.mark.parametrize("tile", [0, 16])
def test_coarse_frames_are_drawn_for_the_named_classes_alone(tile, monkeypatch):
    monkeypatch.setattr(
        "wrp_jax.training.segmentation.transforms.recolour", lambda rng, image, options: image
    )
    dataset = _dataset(centroid_tile=tile, class_share=1.0)
    shown = _shown(dataset)
    # A third of the crops is for each class. A bus is in three frames; with tiles a frame counts
    # once for each tile that its bus lies in, which is as many for all three.
    assert shown["coarse_a"] == pytest.approx(1 / 9, abs=0.05)
    assert shown["coarse_b"] == pytest.approx(1 / 9, abs=0.05)
    assert shown["fine_a"] == pytest.approx(1 / 3, abs=0.07)
    assert len(dataset.learnt) == 2 and dataset.coarse_crops == 0
    nowhere = _dataset(centroid_tile=tile, class_share=0.0)
    assert _shown(nowhere)["fine_a"] == pytest.approx(0.5, abs=0.07)
    assert _shown(nowhere)["coarse_a"] == 0


def test_coarse_labels_end_after_their_epochs(monkeypatch):
    monkeypatch.setattr(
        "wrp_jax.training.segmentation.transforms.recolour", lambda rng, image, options: image
    )
    dataset = _dataset(centroid_tile=16, class_share=1.0, coarse_epochs=3)
    assert dataset.coarse_crops == 6  # epochs count the two fine frames
    assert _shown(dataset, index=5)["coarse_a"] > 0
    later = _shown(dataset, index=6)
    assert later["coarse_a"] == later["coarse_b"] == 0
    assert later["fine_b"] > later["fine_a"] > 0.2


def test_without_coarse_frames_their_options_say_nothing():
    dataset = _dataset(("fine_a", "fine_b"), coarse_classes=("tram",), coarse_epochs=3)
    assert dataset.fine_sampler is None and dataset.coarse_crops == 0
    alike = _dataset(coarse="")
    assert len(alike.learnt) == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"coarse_classes": ("tram",)}, "coarse_classes has 'tram': choose from .* road, bus, sky"),
        ({"coarse_classes": ()}, "coarse_classes has no names"),
        ({"coarse": "*"}, "All labelled frames are coarse"),
    ],
)
def test_mistakes_are_told_in_one_sentence(options, says):
    with pytest.raises(UserError, match=says) as error:
        _dataset(**options)
    assert "\n" not in str(error.value)
