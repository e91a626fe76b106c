"""The command line, and reading what it wrote."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys

import golden_files
import jax
import numpy as np
import pytest
from hand_made import write_state

from wrp_jax.types import UserError
from wrp_jax.weights import published
from wrp_jax.weights.load import load_weights
from wrp_jax.weights.safetensors_file import write_safetensors

pytestmark = pytest.mark.golden

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def command(wrp, network, source, target):
    """The exit code."""
    flags = {"network": network, "weights": source, "output": target}
    return wrp("convert-weights", *(f"--{name}={value}" for name, value in flags.items()))


@pytest.fixture(scope="module")
def small_pth(tmp_path_factory):
    """RAFT small as torch would have saved it, from ``DataParallel``."""
    torch = pytest.importorskip("torch", reason="writes the checkpoint to be converted")
    state = golden_files.state_dict("raft_small")
    path = tmp_path_factory.mktemp("weights") / "raft-small.pth"
    torch.save({f"module.{name}": torch.from_numpy(a) for name, a in state.items()}, path)
    return path


def test_convert_and_load_agree_with_the_checkpoint(small_pth, tmp_path, capsys, wrp):
    target = tmp_path / "small.safetensors"
    assert command(wrp, "raft_small", small_pth, target) == 0
    printed = capsys.readouterr().out
    assert "matched 106, missing 0, unused 0, mis-shaped 0" in printed
    expected = load_weights(small_pth, "raft_small")
    got = load_weights(target, "raft_small")
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    with pytest.raises(UserError, match="holds weights of raft_small, which do not fit sdcnet"):
        load_weights(target, "sdcnet")


def test_another_networks_weights_are_refused(small_pth, tmp_path, capsys, wrp):
    target = tmp_path / "wrong.safetensors"
    assert command(wrp, "sdcnet", small_pth, target) == 2
    output = capsys.readouterr()
    assert "missing: conv1.0.weight" in output.out
    assert "unused: fnet.conv1.weight" in output.out
    assert "nothing written" in output.err
    assert not target.exists()
    with pytest.raises(UserError, match=r"convert lists them all"):
        load_weights(small_pth, "sdcnet")


def test_damaged_and_unwritable_files_end_in_one_sentence(tmp_path, capsys, wrp):
    bad = tmp_path / "bad.pth"
    bad.write_text("nothing")
    assert command(wrp, "raft_small", bad, tmp_path / "x") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unwritable_target_is_named(tmp_path, monkeypatch, capsys, wrp):
    found = {
        path: np.zeros(leaf.shape, np.float32)
        for path, leaf in published.template("sdcnet").items()
    }
    empty = ((), (), (), (), ())
    monkeypatch.setattr(
        published, "fit_state_dict", lambda state, network: (found, published.Report(*empty))
    )
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "x.safetensors"
    assert command(wrp, "sdcnet", FIXTURES / "zip.pth", target) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_weights_of_other_shapes_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"params.x": np.zeros(3, np.float32)}, {"format": "wrp_jax"})
    with pytest.raises(UserError, match="another network"):
        load_weights(path, "raft_small")


def test_safetensors_with_published_names_are_read_and_nan_is_refused(tmp_path):
    state = golden_files.state_dict("raft_small_torchvision")
    path = tmp_path / "w.safetensors"
    write_safetensors(path, state, {})
    got = load_weights(path, "raft_small")
    kernel = state["feature_encoder.conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(got["params"]["fnet"]["conv2"]["kernel"], kernel)
    state["feature_encoder.conv.bias"][3] = np.nan
    write_safetensors(path, state, {})
    with pytest.raises(UserError, match=r"NaN or infinity in params\.fnet\.conv2\.bias"):
        load_weights(path, "raft_small")


@pytest.mark.parametrize("network", ["raft_small", "hrnet_ocr_mscale"])
def test_a_checkpoint_becomes_ours_without_torch(network, tmp_path, capsys, wrp):
    if network == "raft_small":
        state = golden_files.state_dict(network)
    else:
        state = golden_files.published_state(network, width=4, classes=5)
        state |= {
            f"{name.removesuffix('running_mean')}num_batches_tracked": np.array(7)
            for name in state
            if name.endswith("running_mean")
        }
    source, target = tmp_path / "w.pth", tmp_path / "w.safetensors"
    parallel = {f"module.{name}": array for name, array in state.items()}
    write_state(source, parallel, "zip", lambda tensors: {"epoch": 3, "state_dict": tensors})
    assert command(wrp, network, source, target) == 0
    printed = capsys.readouterr().out
    assert "missing 0, unused 0, mis-shaped 0" in printed and f"wrote {target}" in printed
    got = load_weights(target, network)
    found, _ = published.fit_state_dict(state, network)
    jax.tree.map(np.testing.assert_array_equal, got, published.nest(found))
    jax.tree.map(np.testing.assert_array_equal, got, load_weights(source, network))
    kernel, name = {
        "raft_small": (("fnet", "conv2", "kernel"), "fnet.conv2.weight"),
        "hrnet_ocr_mscale": (("ocr", "conv3x3_ocr", "conv", "kernel"), "ocr.conv3x3_ocr.0.weight"),
    }[network]
    kernel = functools.reduce(dict.__getitem__, kernel, got["params"])
    expected = state[name].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, expected.reshape(kernel.shape))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_missing_files_are_named(tmp_path, suffix):
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(tmp_path / f"none{suffix}", "raft_small")


def test_the_command_runs_and_imports_no_torch(tmp_path):
    code = (
        "import sys; from wrp_jax.cli.main import main; "
        "code = main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    words = ["convert-weights", f"--weights={FIXTURES / 'legacy.pth'}", "--network=raft_small"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words, f"--output={tmp_path / 'x'}"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2, result.stderr
    assert "missing: cnet.conv1.bias" in result.stdout
