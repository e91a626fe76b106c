"""Scores of the segmentation by itself, against closed forms; and the page about them."""

import numpy as np
import pytest

from wrp_jax.evaluation.segmentation import score_segmentation
from wrp_jax.reporting.reliability import reliability_page
from wrp_jax.types import ClassMap

CLASSES = ClassMap((0, 1, 2), ("a", "<b>", "v"), np.zeros((3, 3), np.uint8), (False, False, True))
LOGITS = np.array([1.0, 3.0, -20.0], np.float32)


class Labelled:
    name, classes, sequences = "labelled", CLASSES, ("s",)

    def frame_names(self, sequence):
        return ("0",)

    label_names = frame_names

    def frame(self, sequence, name):
        return np.zeros((4, 6, 3), np.uint8)

    def label(self, sequence, name):
        label = np.ones((4, 6), np.int32)
        label[:, :3], label[0] = 0, 2
        return label


def segment(clip, positions):
    probs = np.exp(LOGITS / 2.0) / np.exp(LOGITS / 2.0).sum()
    size = clip.frame(0).shape[:2]
    return np.broadcast_to(probs, (len(positions), *size, 3)), np.zeros((1, 1, 1, 1))


def test_scores_with_the_temperature_and_without():
    scores = score_segmentation(segment, Labelled(), [("s", "0")], temperature=2.0)
    assert scores["miou"] == pytest.approx(25.0)  # a is never found, b everywhere
    assert scores["iou"] == {"a": 0.0, "<b>": pytest.approx(50.0), "v": None}
    plain = 1.0 / (1.0 + np.exp(-2.0))
    assert scores["uncalibrated"]["expected_error"] == pytest.approx(plain - 0.5, abs=1e-5)
    warm = 1.0 / (1.0 + np.exp(-1.0))
    assert scores["calibrated"]["expected_error"] == pytest.approx(warm - 0.5, abs=1e-4)
    kept = scores["uncalibrated"]["thresholds"]
    assert kept["0.8"] == {"share": 1.0, "accuracy": 0.5} and kept["0.9"]["share"] == 0.0


def test_the_page_shows_names_as_text():
    page = reliability_page(score_segmentation(segment, Labelled(), [("s", "0")], 2.0))
    assert "&lt;b&gt;" in page and "<b>" not in page and "<polyline" in page
