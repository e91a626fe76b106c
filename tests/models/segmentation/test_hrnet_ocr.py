"""HRNet-OCR equals the published network, group of layers by group, from reproducible weights.

Tolerances are those of the fixtures' README; measured differences are a tenth and less of them.
"""

from __future__ import annotations

import functools
import os
import pathlib
import re

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_layers import by_layer

from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.layers import ConvNorm
from wrp_jax.models.segmentation.build import REGISTRY, build_segmentation
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr, combine, scaled_size
from wrp_jax.ops import convolution, winograd
from wrp_jax.ops.resize import resize
from wrp_jax.types import UserError
from wrp_jax.weights import published

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("compiled_for_users")]

SHARED = pathlib.Path(__file__).parents[3] / ".." / "shared" / "golden"
LOGITS, FEATURES, ATTENTION, REGIONS = 1e-3, 3e-4, 5e-5, 2e-4
GROUPS = {
    # in the fixture: where it is in ours
    "stem": "backbone conv2",
    "layer1": "backbone layer1_3",
    "transition1_0": "backbone transition1_0",
    "transition1_1": "backbone transition1_1_0",
    "stage2_0": "backbone stage2_0 0",
    "stage2_1": "backbone stage2_0 1",
    "transition2_2": "backbone transition2_2_0",
    "stage3_0": "backbone stage3_3 0",
    "stage3_1": "backbone stage3_3 1",
    "stage3_2": "backbone stage3_3 2",
    "transition3_3": "backbone transition3_3_0",
    "stage4_0": "backbone stage4_2 0",
    "stage4_1": "backbone stage4_2 1",
    "stage4_2": "backbone stage4_2 2",
    "stage4_3": "backbone stage4_2 3",
    "pixels": "ocr conv3x3_ocr",
    "f_pixel": "ocr ocr_distri_head query2",
    "f_object": "ocr ocr_distri_head key2",
    "f_down": "ocr ocr_distri_head value",
    "f_up": "ocr ocr_distri_head context",
}
MODULE = HrnetOcr(19, attention=True)


@functools.cache
def variables():
    state = golden_files.state_dict("hrnet_ocr_mscale")
    found, report = published.fit_state_dict(state, "hrnet_ocr_mscale")
    assert report.complete, report
    assert sum(x.size for path, x in found.items() if path[0] == "params") == 72_143_430
    return jax.tree.map(jnp.asarray, published.nest(found))


@functools.cache
def fixture(name):
    """Of tests/golden; the larger ones of shared/golden (minutes) where they are asked for."""
    if not (golden_files.HERE / f"{name}.npz").exists() and "LARGE_FIXTURES" not in os.environ:
        pytest.skip(f"{name}.npz of shared/golden is compared where LARGE_FIXTURES=1 is set")
    if not (golden_files.HERE / f"{name}.npz").exists() and not (SHARED / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz in shared/golden beside the repository")
    return golden_files.arrays(name, SHARED)


def image_of(name):
    arrays = fixture(name.removesuffix("_nscale"))
    return jnp.asarray(arrays["image_uint8"][None] / np.float32(255))


@functools.cache
def look(name, scale):
    """One pass, with everything that happens inside it."""
    image = image_of(name)
    image = resize(image, scaled_size(image.shape[1:3], scale))
    output, inside = by_layer(MODULE.apply)(
        variables(),
        image,
        method="one_scale",
        capture_intermediates=True,
        mutable=["intermediates"],
    )
    return output, inside["intermediates"], image.shape[1:3]


@functools.cache
def combined(name, scales):
    looks = {scale: look(name.removesuffix("_nscale"), scale) for scale in scales}
    return combine(
        {scale: output for scale, (output, _, _) in looks.items()},
        {scale: tuple(size) for scale, (_, _, size) in looks.items()},
    )


def close(got, expected, tolerance):
    assert got.shape == expected.shape
    assert np.abs(np.asarray(got) - expected).max() <= tolerance


@pytest.mark.parametrize("group", GROUPS)
def test_group_of_layers(group):
    expected = fixture("hrnet_stages")[group]
    inside = look("hrnet_ocr_mscale_odd", 1.0)[1]
    *path, last = GROUPS[group].split()
    if last.isdigit():
        got = functools.reduce(dict.__getitem__, path, inside)["__call__"][0][int(last)]
    else:
        got = functools.reduce(dict.__getitem__, [*path, last], inside)["__call__"][0]
    close(got[..., ::16], expected, 2e-5 * max(1.0, np.abs(expected).max()))


def test_a_wide_layer_winograds_way(monkeypatch):
    # On pictures of the usual size it is taken; the fixtures are too small for it.
    taken, convolve = [], winograd.convolve
    monkeypatch.setattr(convolution, "_LARGE", 0)
    monkeypatch.setattr(winograd, "convolve", lambda *a: taken.append(1) or convolve(*a))
    pixels = look("hrnet_ocr_mscale_odd", 1.0)[1]["backbone"]["__call__"][0]
    own = {kind: tree["ocr"]["conv3x3_ocr"] for kind, tree in variables().items()}
    got = ConvNorm(512, use_bias=True).apply(own, pixels, train=False)
    expected = fixture("hrnet_stages")["pixels"]
    close(got[..., ::16], expected, 2e-5 * max(1.0, np.abs(expected).max()))
    assert taken or jax.default_backend() != "cpu"


FIXTURES = ["hrnet_ocr_mscale_odd", "hrnet_ocr_mscale"]
PASSES = [("10x", 1.0), ("05x", 0.5)]


@pytest.mark.parametrize(("suffix", "scale"), PASSES)
@pytest.mark.parametrize("name", FIXTURES)
def test_backbone(name, suffix, scale):
    features = look(name, scale)[1]["backbone"]["__call__"][0]
    close(features[..., ::16], fixture(name)[f"backbone_feats_{suffix}_every16"], FEATURES)


@pytest.mark.parametrize(("suffix", "scale"), PASSES)
@pytest.mark.parametrize("name", FIXTURES)
def test_heads(name, suffix, scale):
    golden = fixture(name)
    output, inside, _ = look(name, scale)
    close(output.aux, golden[f"aux_s4_{suffix}"], LOGITS)
    if suffix == "10x":
        regions = inside["ocr"]["ocr_distri_head"]["regions"][0]
        close(regions.transpose(0, 2, 1), golden["region_context_10x"], REGIONS)
    for key, every in ((f"ocr_feats_{suffix}", 1), (f"ocr_feats_{suffix}_every8", 8)):
        if key in golden:
            close(output.features[..., ::every], golden[key], FEATURES)
    close(output.logits, golden[f"cls_s4_{suffix}"], LOGITS)
    close(output.attention, golden[f"attn_s4_{suffix}"], ATTENTION)


@pytest.mark.parametrize("name", FIXTURES)
def test_two_scales(name):
    golden = fixture(name)
    output = combined(name, (0.5, 1.0))
    close(output.logits, golden["two_scale_pred"], LOGITS)
    same = np.asarray(output.logits).argmax(-1) == golden["two_scale_pred"].argmax(-1)
    assert same.mean() >= 0.9999
    if "two_scale_aux" in golden:
        close(output.aux_logits, golden["two_scale_aux"], LOGITS)
    size = golden["two_scale_pred_05x"].shape[1:3]
    low = look(name, 0.5)[0]
    close(resize(low.logits, size), golden["two_scale_pred_05x"], LOGITS)
    close(resize(low.attention, size), golden["two_scale_attn_05x"], ATTENTION)
    enlarged = resize(jnp.asarray(golden["two_scale_attn_05x"]), image_of(name).shape[1:3])
    close(output.attention, enlarged, ATTENTION)


@pytest.mark.parametrize("name", [f"{name}_nscale" for name in FIXTURES])
def test_n_scales(name):
    golden = fixture(name)
    scales = tuple(float(scale) for scale in golden["scales"])
    output = combined(name, scales)
    for scale in scales:
        one = look(name.removesuffix("_nscale"), scale)[0]
        close(one.logits, golden[f"cls_s4_{scale}x"], LOGITS)
        close(one.aux, golden[f"aux_s4_{scale}x"], LOGITS)
        close(one.attention, golden[f"attn_s4_{scale}x"], ATTENTION)
    close(output.logits, golden["nscale_pred"], LOGITS)


def test_a_single_scale_is_the_plain_network():
    output = combined("hrnet_ocr_mscale_odd", (1.0,))
    expected = resize(look("hrnet_ocr_mscale_odd", 1.0)[0].logits, (84, 132))
    np.testing.assert_array_equal(output.logits, expected)


def test_bfloat16_stays_near():
    image = image_of("hrnet_ocr_mscale_odd")
    module = MODULE.clone(dtype=jnp.bfloat16)
    rounded = by_layer(module.apply)(variables(), image, method="one_scale")
    exact = look("hrnet_ocr_mscale_odd", 1.0)[0]
    assert rounded.features.dtype == jnp.bfloat16 and rounded.logits.dtype == jnp.float32
    error = np.abs(rounded.logits - exact.logits) / exact.logits.std()
    same = np.mean(rounded.logits.argmax(-1) == exact.logits.argmax(-1))
    print(
        f"bfloat16: mean {error.mean():.4f}, largest {error.max():.4f} deviations; same {same:.4f}"
    )
    assert error.mean() < 0.03 and same > 0.97


@pytest.mark.parametrize(("dtype", "asked"), [("float32", "HIGHEST"), ("tf32", "DEFAULT")])
def test_only_float32_asks_accelerators_for_all_digits(dtype, asked):
    network = build_segmentation(
        SegmentationConfig(name="hrnet_ocr", network=SegmentationNetwork(width=18, dtype=dtype)), 3
    )
    images = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)
    program = str(jax.make_jaxpr(network.apply)(shapes, images))
    products = re.findall(
        r"conv_general_dilated\[.*?precision=\(?(?:Precision\.)?(\w+)", program, re.S
    )
    assert set(products) == {asked}


def test_options_without_a_meaning_are_named():
    for options, says in (
        (("hrnet_ocr_mscale", {"scales": (0.5, 2.0)}), "1.0 among them"),
        (("hrnet_ocr", {"scales": (0.5, 1.0)}), "only hrnet_ocr_mscale .*average_scales"),
        (("light", {"scales": (0.5, 1.0)}), "choose .*name=hrnet_ocr_mscale"),
        (("light", {"dtype": "bfloat16"}), "dtype is bfloat16, which only hrnet_ocr and"),
        (("efficient", {"remat": True}), "remat is True, .* leave it out"),
    ):
        name, changes = options
        with pytest.raises(UserError, match=says) as error:
            network = SegmentationNetwork(**changes)
            build_segmentation(SegmentationConfig(name=name, network=network), 19)
        assert "\n" not in str(error.value)
    for name in REGISTRY:  # the default is no mistake
        build_segmentation(SegmentationConfig(name=name), 19)
