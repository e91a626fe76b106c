import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.network import Network
from wrp_jax.segmentation import for_classes
from wrp_jax.types import ClassMap, SegmentationOutput

CLASSES = ClassMap(
    (7, 9, 8), ("road", "void", "car"), np.zeros((3, 3), np.uint8), (False, True, False)
)


@pytest.fixture
def built(monkeypatch):
    """``build_segmentation`` gives a network whose score k is k, main and auxiliary."""

    def build(options, num_classes):
        def apply(variables, images, train=False, rngs=None):
            scores = jnp.broadcast_to(jnp.arange(float(num_classes)), (1, 2, 2, num_classes))
            output = SegmentationOutput(scores, jnp.zeros((1, 1, 1, 0)), scores, None, (scores,))
            return (output, {"new": 1}) if train else output

        return Network(lambda key, images: {}, apply)

    monkeypatch.setattr(for_classes, "build_segmentation", build)
    return lambda name="light", learn_void=False: for_classes.build_for_classes(
        SegmentationConfig(name=name, network=SegmentationNetwork(learn_void=learn_void)), CLASSES
    )


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        # A published network has scores for road and car alone, in that order.
        ({"name": "hrnet_ocr"}, [0.0, -30.0, 1.0]),
        ({"name": "hrnet_ocr", "learn_void": True}, [0.0, 1.0, 2.0]),
        ({"name": "light"}, [0.0, -30.0, 2.0]),
        ({"name": "light", "learn_void": True}, [0.0, 1.0, 2.0]),
    ],
)
def test_one_score_per_class_and_no_chance_for_void(built, options, scores):
    output = built(**options).apply({}, None)
    for logits in (output.logits, output.aux_logits, *output.scale_logits):
        np.testing.assert_array_equal(logits[0, 0, 0], scores)
    trained, stats = built(**options).apply({}, None, train=True)
    np.testing.assert_array_equal(trained.logits, output.logits)
    assert stats == {"new": 1}
    probs = jax.nn.softmax(output.logits)
    assert options.get("learn_void") or probs[..., 1].max() < 1e-12
