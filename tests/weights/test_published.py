"""Every published name finds its parameter; whatever does not fit is told by name."""

from __future__ import annotations

import json
import pathlib

import golden_files
import numpy as np
import pytest

from wrp_jax.weights import published

MANIFESTS = {
    "raft_large": "raft_large",
    "raft_large_torchvision": "raft_large",
    "raft_small": "raft_small",
    "raft_small_torchvision": "raft_small",
    "sdcnet": "sdcnet",
    "flownet2": "flownet2",
    "hrnet_ocr_mscale": "hrnet_ocr_mscale",
    "hrnetv2_w48_imagenet": "hrnetv2_imagenet",
    "efficientnet_lite0": "efficientnet_lite0",
}
HEADS = {  # parameters of the classifier, which no network of ours has
    "hrnetv2_w48_imagenet": 77_469_864 - 65_325_120,
    "efficientnet_lite0": 320 * 1280 + 2 * 1280 + 1281 * 1000,
}


def _zeros(manifest):
    """The names and shapes of a published file, with constants, without drawing any weights."""
    entries = json.loads((golden_files.HERE / f"{manifest}.json").read_text())["parameters"]
    return {
        name.removeprefix("module."): np.broadcast_to(
            np.float32(entry.get("value", [0.0])).reshape(-1, *([1] * (len(entry["shape"]) - 2)))
            if "value" in entry
            else np.float32(0),
            entry["shape"],
        )
        for name, entry in entries.items()
    }


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_every_published_name_has_its_parameter(manifest):
    found, report = published.fit_state_dict(_zeros(manifest), MANIFESTS[manifest])
    assert report.complete, report
    assert found.keys() == published.template(MANIFESTS[manifest]).keys()
    count = sum(array.size for path, array in found.items() if path[0] == "params")
    text = (golden_files.HERE / f"{manifest}.json").read_text()
    count += HEADS.get(manifest, 0)
    assert count == json.loads(text)["num_parameters"]


def test_the_network_without_attention_is_the_rest_of_the_one_with_it():
    whole = _zeros("hrnet_ocr_mscale")
    plain = {name: x for name, x in whole.items() if not name.startswith("scale_attn.")}
    assert len(plain) == 1890 < len(whole)
    found, report = published.fit_state_dict(plain, "hrnet_ocr")
    assert report.complete, report
    assert found.keys() == published.template("hrnet_ocr").keys()
    assert sum(x.size for path, x in found.items() if path[0] == "params") == 70_372_678
    assert not published.fit_state_dict(plain, "hrnet_ocr_mscale")[1].complete
    manifest = pathlib.Path(__file__).parents[2] / ".." / "shared" / "golden" / "hrnet_ocr.json"
    if manifest.exists():
        told = json.loads(manifest.read_text())
        names = {n.removeprefix("module."): e["shape"] for n, e in told["parameters"].items()}
        assert names == {name: [*x.shape] for name, x in plain.items()}
        assert told["num_parameters"] == 70_372_678


def test_both_namings_lead_to_the_same_place():
    ours = golden_files.state_dict("raft_small")
    found, _ = published.fit_state_dict(ours, "raft_small")
    theirs = {}
    paths = {published.published_name(path): path for path in found}
    for name in golden_files.state_dict("raft_small_torchvision"):
        translated = published.translate(name, published.TORCHVISION_RAFT_SMALL)
        theirs[name] = ours[translated]
        assert translated in paths
    again, report = published.fit_state_dict(theirs, "raft_small")
    assert report.complete
    for path, array in found.items():
        np.testing.assert_array_equal(again[path], array)


def test_old_files_without_batch_counts_are_complete():
    state = {k: v for k, v in _zeros("raft_large").items() if "num_batches" not in k}
    assert published.fit_state_dict(state, "raft_large")[1].complete


def test_what_does_not_fit_is_told_by_name():
    state = dict(_zeros("raft_large"))
    del state["fnet.conv1.bias"]
    state["fnet.conv2.weight"] = np.zeros((256, 64, 1, 1), np.float32)
    state["fnet.conv9.weight"] = np.zeros(3, np.float32)
    state["cnet.layer2.0.norm3.weight"] = np.ones(96, np.float32)  # differs from its original
    state["feature_encoder.conv.bias"] = np.zeros(256, np.float32)  # the same place twice
    _, report = published.fit_state_dict(state, "raft_large")
    assert not report.complete
    assert report.missing == ("fnet.conv1.bias",)
    assert set(report.misshaped) == {"fnet.conv2.weight", "cnet.layer2.0.norm3.weight"}
    assert set(report.unused) == {"fnet.conv9.weight", "feature_encoder.conv.bias"}
    text = str(report)
    assert "missing: fnet.conv1.bias" in text and "mis-shaped: fnet.conv2.weight" in text


def test_sdcnet_trained_with_another_normalisation_is_refused():
    state = dict(_zeros("sdcnet"))
    state["flow_std"] = np.ones((1, 2, 1, 1), np.float32)
    state["flownet2.flownetc.conv1.0.weight"] = np.zeros(3, np.float32)
    _, report = published.fit_state_dict(state, "sdcnet")
    assert report.misshaped == ("flow_std",)
    assert "flownet2.flownetc.conv1.0.weight" in report.ignored


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_constant_of_another_length_is_misshaped(length):
    _, report = published.fit_state_dict({"flow_mean": np.zeros(length, np.float32)}, "sdcnet")
    assert report.misshaped == ("flow_mean",)


@pytest.mark.parametrize("length", [0, 4097, 10**9])
def test_sizes_that_no_network_has_are_left_out(length):
    name = "ocr.cls_head.bias"
    claimed = {name: np.broadcast_to(np.float32(0), length)}
    assert published.sizes_held(claimed, "hrnet_ocr") == {}
    assert published.sizes_held({name: np.zeros(30)}, "hrnet_ocr") == {"num_classes": 30}


def test_names_that_would_steer_the_terminal_are_escaped():
    report = published.Report((), (), ("\x1b[2Jx",), (), ())
    assert "\x1b" not in str(report) and r"\x1b[2Jx" in str(report)
